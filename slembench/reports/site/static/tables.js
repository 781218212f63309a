// Sorting and filtering of the tables; without it they can still be read. BUNDLE is DataTables as itables ships it.
import(BUNDLE).then(({ default: DataTable }) => {
  const last = (compare) => (a, b) => (isNaN(a) ? 1 : 0) - (isNaN(b) ? 1 : 0) || compare(a, b);
  DataTable.type("measured", {
    order: { pre: Number, asc: last((a, b) => a - b), desc: last((a, b) => b - a) },
  });
  for (const table of document.querySelectorAll("table.data")) {
    const caption = table.caption.textContent.trim();
    const filtered = table.dataset.filter === "yes";
    new DataTable(table, {
      paging: false,
      order: [],
      autoWidth: false,
      orderMulti: false,
      columnDefs: [{ targets: ".number", type: "measured" }],
      language: { search: "Filter rows", info: "_TOTAL_ rows", infoEmpty: "no row", infoFiltered: "of _MAX_", zeroRecords: "no row matches" },
      layout: { topStart: filtered ? "search" : null, topEnd: filtered ? "info" : null, bottomStart: null, bottomEnd: null },
    });
    const region = table.closest(".dt-layout-table");
    region.tabIndex = 0;
    region.setAttribute("role", "region");
    region.setAttribute("aria-label", caption);
  }
  document.documentElement.dataset.tables = "ready";
});
