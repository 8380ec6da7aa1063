// Numbers as the server writes them, so that a live value does not jump when the page is loaded again.

export function count(n) {
  const grouped = String(Math.abs(Math.round(n))).replace(/\B(?=(\d{3})+$)/g, '\u202f');
  return n < 0 ? '−' + grouped : grouped;
}

export function duration(seconds) {
  const s = Math.max(seconds, 0);
  if (s < 1) return `${Math.floor(s * 1000)} ms`;
  if (s < 60) return `${s.toFixed(1)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${Math.floor(s % 60)} s`;
  if (s < 48 * 3600) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

// printable writes out what a browser would obey instead of showing, as the server does: texts of strangers reach a page alive, too.
export function printable(text) {
  const obeyed = /[^\P{C}\n\t\p{Cn}\p{Co}\p{Cs}]|[\p{Zl}\p{Zp}]|\p{Default_Ignorable_Code_Point}/gu;
  return String(text).replace(obeyed, (c) => (/\p{Variation_Selector}/u.test(c) ? c : Array.from({ length: c.length }, (_, i) => '\\u' + c.charCodeAt(i).toString(16).padStart(4, '0')).join('')));
}
