const rows = [...document.querySelectorAll("table.links tbody tr")];
const choice = document.querySelector("select.filter");
const namesOf = (row) => JSON.parse(row.dataset.names);
for (const name of [...new Set(rows.flatMap(namesOf))].sort()) choice.add(new Option(name));
choice.addEventListener("change", () => {
  for (const row of rows) row.hidden = choice.value !== "" && !namesOf(row).includes(choice.value);
});

function mark(row) {
  document.querySelector("tr.now")?.classList.remove("now");
  row.classList.add("now");
  row.scrollIntoView({ block: "nearest" });
}

for (const row of rows) row.querySelector("a").addEventListener("click", () => mark(row));
document.addEventListener("keydown", (event) => {
  if (event.key !== "n" || event.target === choice) return;
  const shown = rows.filter((row) => !row.hidden);
  shown[shown.findIndex((row) => row.classList.contains("now")) + 1]?.querySelector("a").click();
});
document.body.dataset.ready = "yes";
