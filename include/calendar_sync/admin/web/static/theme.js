// Follows the Airflow UI, which keeps its choice of light or dark in this browser; runs before
// anything is shown. Where there is no choice, the style sheet follows the system.
(() => {
  const apply = () => {
    let choice = null;
    try {
      choice = window.localStorage.getItem("theme");
    } catch {
      // No storage: the system decides.
    }
    if (choice === "light" || choice === "dark") {
      document.documentElement.dataset.theme = choice;
    } else {
      delete document.documentElement.dataset.theme;
    }
    window.dispatchEvent(new Event("calendar-sync-theme"));
  };
  apply();
  window.addEventListener("storage", (event) => {
    if (event.key === "theme") {
      apply();
    }
  });
})();
