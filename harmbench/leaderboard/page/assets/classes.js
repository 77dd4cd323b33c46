// The heat map: one pair of manufacturers at a time.
{
  const choice = HB.id("pair");
  if (choice) {
    const show = () => {
      for (const box of document.querySelectorAll("[data-pair]")) box.hidden = box.dataset.pair !== choice.value;
    };
    choice.addEventListener("change", show);
    show();
  }
}
