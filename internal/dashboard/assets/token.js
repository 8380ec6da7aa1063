// The chart works without this; here it gets a readout, arrow keys, and versions that open without leaving the page.
const chart = document.getElementById("chart");
const readout = document.getElementById("readout");

function candles() {
  return [...chart.querySelectorAll("a")];
}

function show(link) {
  chart.querySelector("a.near")?.classList.remove("near");
  link.classList.add("near");
  readout.textContent = link.querySelector("title").textContent;
}

let latest = null;

// open replaces the table of versions with that of another candle, and marks the candle. Of several the last one counts.
async function open(link) {
  latest = link;
  const place = document.getElementById("candle");
  place.setAttribute("aria-busy", "true");
  try {
    const response = await fetch(link.href.baseVal, { headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const found = page.getElementById("candle");
    if (!response.ok || !found) throw new Error("no versions in the answer");
    if (latest !== link) return;
    place.replaceChildren(...found.childNodes);
    chart.querySelector(".selected")?.remove();
    const hit = link.querySelector(".hit").cloneNode();
    hit.setAttribute("class", "selected");
    link.prepend(hit);
    history.replaceState(null, "", link.href.baseVal);
    place.scrollIntoView({ block: "nearest" });
  } catch {
    location.assign(link.href.baseVal); // the whole page says what is wrong
  } finally {
    place.removeAttribute("aria-busy");
  }
}

if (chart && readout) {
  const box = chart.closest(".scroll");
  const selected = chart.querySelector(".selected");
  box.scrollLeft = selected ? selected.getBoundingClientRect().left - box.clientWidth / 2 : box.scrollWidth; // else the latest first
  const all = candles();
  const last = all.at(-1);
  if (last) last.tabIndex = 0;
  chart.addEventListener("pointerover", (event) => {
    const link = event.target.closest("a");
    if (link) show(link);
  });
  chart.addEventListener("focusin", (event) => {
    const link = event.target.closest("a");
    if (!link) return;
    all.forEach((other) => { other.tabIndex = other === link ? 0 : -1; });
    show(link);
  });
  chart.addEventListener("keydown", (event) => {
    const at = all.indexOf(event.target.closest("a"));
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (at < 0 || to === undefined || !all[to]) return;
    event.preventDefault();
    all[to].focus();
  });
  chart.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || !link.href.baseVal.endsWith("#candle")) return;
    event.preventDefault();
    open(link);
  });
}
