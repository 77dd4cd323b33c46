// Light, dark, or as the system says; remembered where the browser allows it.
{
  const button = HB.id("theme");
  const order = ["auto", "light", "dark"];
  let theme = "auto";
  try {
    theme = localStorage.getItem("harmbench-theme") || "auto";
  } catch {
    // A page from a file may have no storage: the choice then lasts as long as the page.
  }
  const apply = () => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = `Theme: ${theme}`;
  };
  if (!order.includes(theme)) theme = "auto";
  apply();
  button.addEventListener("click", () => {
    theme = order[(order.indexOf(theme) + 1) % order.length];
    try {
      localStorage.setItem("harmbench-theme", theme);
    } catch {
      // As above.
    }
    apply();
  });
}
