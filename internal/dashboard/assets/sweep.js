// Follows a running sweep, and loads the page again when it has ended.
import { count } from './format.js';

const section = document.getElementById('sweeping');

async function follow() {
  try {
    const answer = await fetch('/api/sweep');
    if (answer.ok) {
      const { state } = await answer.json();
      if (!state.running) {
        location.replace('/sweep');
        return;
      }
      const bar = section.querySelector('[data-live="bar"]');
      bar.max = state.slices || 1;
      bar.value = state.slices_done;
      for (const name of ['slices_done', 'slices', 'versions_removed']) section.querySelector(`[data-live="${name}"]`).textContent = count(state[name]);
    }
  } catch {
    // the next turn tries again
  }
  setTimeout(follow, 1000);
}

follow();
