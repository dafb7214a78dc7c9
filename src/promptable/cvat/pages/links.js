// Things with a link and names: shown by the choices' names, and opened one after the other with the key n.
const items = [...document.querySelectorAll("[data-names]")];
const choices = [...document.querySelectorAll("select.filter")];
const namesOf = (item, choice) => JSON.parse(item.dataset[choice.dataset.of ?? "names"]);
for (const choice of choices) {
  for (const name of [...new Set(items.flatMap((item) => namesOf(item, choice)))].sort()) choice.add(new Option(name, name));
  choice.addEventListener("change", () => {
    for (const item of items) item.hidden = !choices.every((one) => one.value === "" || namesOf(item, one).includes(one.value));
  });
}

function mark(item) {
  document.querySelector(".now")?.classList.remove("now");
  item.classList.add("now");
  item.scrollIntoView({ block: "nearest" });
}

for (const item of items) item.querySelector("a").addEventListener("click", () => mark(item));
document.addEventListener("keydown", (event) => {
  if (event.key !== "n" || event.ctrlKey || event.metaKey || event.altKey || choices.includes(event.target)) return;
  const shown = items.filter((item) => !item.hidden);
  shown[shown.findIndex((item) => item.classList.contains("now")) + 1]?.querySelector("a").click();
});
document.body.dataset.ready = "yes";
