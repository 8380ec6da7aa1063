// Keeps the list of runs fresh while one of them is running. What the visitor has the focus in is not replaced.
const every = 3000;

async function refresh() {
  const list = document.getElementById('list');
  if (!list.hasAttribute('data-running')) return;
  if (!document.hidden && !list.contains(document.activeElement)) {
    try {
      const answer = await fetch(location.href, { headers: { Accept: 'text/html' } });
      if (answer.ok) {
        const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html').getElementById('list');
        if (fresh) list.replaceWith(document.adoptNode(fresh));
      }
    } catch {
      // the next turn tries again
    }
  }
  setTimeout(refresh, every);
}

setTimeout(refresh, every);
