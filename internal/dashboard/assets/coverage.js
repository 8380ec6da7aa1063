// Arrow keys move through the heat map: one cell is reached by Tab, the others from there.
const grid = document.querySelector("[data-grid]");
if (grid) {
  const rows = [...grid.tBodies[0].rows].map((row) => [...row.querySelectorAll("a.cell")]);
  let row = 0;
  let column = 0;
  const go = (toRow, toColumn) => {
    const target = rows[toRow]?.[toColumn];
    if (!target) return;
    rows[row][column].tabIndex = -1;
    [row, column] = [toRow, toColumn];
    target.tabIndex = 0;
    target.focus();
  };
  if (rows[0]?.[0]) rows[0][0].tabIndex = 0;
  const box = grid.closest(".scroll");
  box.scrollLeft = box.scrollWidth; // the latest days first
  grid.addEventListener("focusin", (event) => {
    rows.forEach((cells, r) => {
      const c = cells.indexOf(event.target);
      if (c < 0) return;
      rows[row][column].tabIndex = -1;
      [row, column] = [r, c];
      event.target.tabIndex = 0;
    });
  });
  grid.addEventListener("keydown", (event) => {
    if (!event.target.classList.contains("cell")) return;
    const last = rows[row].length - 1;
    const moves = {
      ArrowRight: [row, column + 1], ArrowLeft: [row, column - 1], ArrowDown: [row + 1, column], ArrowUp: [row - 1, column],
      Home: [row, 0], End: [row, last],
    };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    go(...move);
  });
}
