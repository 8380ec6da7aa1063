// Follows a running run by server-sent events, and loads the page again when the run has ended: its numbers are exact
// then. Without this script the page shows the state as it was.
import { count, duration, printable } from './format.js';

const section = document.getElementById('progress');

function show(name, value) {
  const text = printable(value);
  const place = section.querySelector(`[data-live="${name}"]`);
  if (place && place.textContent !== text) place.textContent = text;
}

function update(p) {
  section.querySelector('[data-live="bar"]').value = p.chunks ? (p.done * 100) / p.chunks : 100;
  for (const name of ['done', 'chunks', 'failed']) show(name, count(p[name]));
  show('inserted', count(p.candles_inserted));
  show('phase', p.phase);
  show('candles_per_second', p.candles_per_second ? count(p.candles_per_second) : '–');
  show('chunks_per_second', p.chunks_per_second ? p.chunks_per_second.toFixed(1) : '–');
  waiting(p.waiting_for || []);
  show('left', p.seconds_left == null ? '?' : duration(p.seconds_left));
}

function waiting(reasons) {
  const place = section.querySelector('[data-live="waiting_for"]');
  const shown = [...place.children].map((item) => item.textContent);
  if (shown.join('\n') === reasons.join('\n')) return; // an unchanged status is not read out again
  place.hidden = reasons.length === 0;
  place.replaceChildren(...reasons.map((reason) => {
    const item = document.createElement('li');
    item.textContent = reason;
    return item;
  }));
}

function note(text) {
  const place = section.querySelector('[data-live="note"]');
  place.hidden = !text;
  place.textContent = printable(text);
}

const events = new EventSource(`/api/runs/${section.dataset.run}/events`);
events.addEventListener('progress', (event) => {
  note('');
  const progress = JSON.parse(event.data);
  if (!progress.ended) update(progress);
});
events.addEventListener('end', () => {
  events.close();
  note('The run has ended.');
  ended(20);
});
events.addEventListener('error', () => note('No connection to the dashboard; trying again.'));

// ended waits until ClickHouse has the run's row: it is written a moment after the ledger has the result.
async function ended(tries) {
  const answer = await fetch(`/api/runs/${section.dataset.run}?limit=1`);
  const status = answer.ok ? (await answer.json()).run.status : 'running';
  if (status !== 'running' || tries === 0) location.reload();
  else setTimeout(() => ended(tries - 1), 500);
}
