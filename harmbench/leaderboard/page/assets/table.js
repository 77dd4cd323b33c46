// The main table: sorted within each part, filtered by name. Without this script it stands in the order of ranks.
{
  const table = HB.id("board");
  const heads = [...table.tHead.rows[0].cells];
  const bodies = [...table.tBodies];

  const sortBy = (index, ascending, asText) => {
    for (const body of bodies) {
      const rows = [...body.rows].filter((row) => !row.classList.contains("banner"));
      const key = (row) => row.cells[index]?.dataset.sort ?? ""; // one without figures has one cell for all
      rows.sort((a, b) => {
        const [x, y] = [key(a), key(b)];
        if (x === "" || y === "") return (x === "") - (y === ""); // what is missing comes last either way
        const difference = asText ? x.localeCompare(y) : Number(x) - Number(y);
        return ascending ? difference : -difference;
      });
      body.append(...rows);
    }
    heads.forEach((head, i) => {
      if (i === index) head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
  };
  heads.forEach((head, index) => {
    const button = head.querySelector(".sort");
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      const first = button.dataset.first !== "max"; // the better value first
      sortBy(index, now ? now !== "ascending" : first, button.dataset.first === "text");
    });
  });

  const input = HB.id("filter");
  const filter = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    let all = 0;
    for (const body of bodies) {
      const rows = [...body.rows].filter((row) => !row.classList.contains("banner"));
      let here = 0;
      for (const row of rows) {
        row.hidden = !words.every((word) => row.dataset.name.includes(word));
        here += row.hidden ? 0 : 1;
      }
      body.hidden = here === 0;
      shown += here;
      all += rows.length;
    }
    HB.id("filter-status").textContent = words.length ? `${shown} of ${all} rows` : "";
  };
  input.addEventListener("input", filter);
  HB.id("filters").addEventListener("submit", (event) => event.preventDefault());
}
