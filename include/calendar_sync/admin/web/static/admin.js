// Times in the reader's zone, links that leave the frame, and quiet refreshing. Pages work without.
(() => {
  "use strict";

  const minutes = { hour: "2-digit", minute: "2-digit" };
  const today = new Intl.DateTimeFormat(undefined, { ...minutes, second: "2-digit" });
  const thisYear = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", ...minutes });
  const longAgo = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

  const showTimes = (root) => {
    const now = new Date();
    for (const element of root.querySelectorAll("time[datetime]")) {
      const moment = new Date(element.dateTime);
      if (!Number.isNaN(moment.getTime())) {
        const near = moment.getFullYear() === now.getFullYear() ? thisYear : longAgo;
        const form = moment.toDateString() === now.toDateString() ? today : near;
        element.textContent = form.format(moment);
      }
    }
  };

  // Times that are typed are in the reader's zone, as those that are shown: the form says which.
  const typeTimesHere = () => {
    const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
    for (const field of document.querySelectorAll("input[data-zone]")) {
      if (here && field.value === "") {
        for (const input of field.form.querySelectorAll('input[type="datetime-local"]')) {
          if (input.value) {
            const moment = new Date(`${input.value}Z`);
            const local = new Date(moment.getTime() - moment.getTimezoneOffset() * 60000);
            input.value = local.toISOString().slice(0, 16);
          }
        }
        field.value = here;
      }
      if (field.value === here) {
        for (const words of field.form.querySelectorAll("[data-in-zone]")) {
          words.remove();
        }
      }
    }
  };

  // The Airflow UI frames these pages and its sandbox lets them neither leave the frame nor open
  // windows. Its own document may, and belongs to the same site: the click is made there.
  const openInAirflow = (event) => {
    const link = event.target.closest("a.airflow");
    if (link === null || window.parent === window) {
      return;
    }
    let owner;
    try {
      owner = window.parent.document;
    } catch {
      return;
    }
    event.preventDefault();
    const twin = owner.createElement("a");
    twin.href = link.href;
    twin.rel = "noopener";
    if (event.ctrlKey || event.metaKey || event.shiftKey) {
      twin.target = "_blank";
    }
    owner.body.append(twin);
    twin.click();
    twin.remove();
  };

  // A box with data-ticks ticks all boxes of that name in its form, and shows whether all are.
  const tickAll = (event) => {
    const form = event.target.form;
    const all = form && form.querySelector("input[data-ticks]");
    if (!all) {
      return;
    }
    const boxes = [...form.querySelectorAll(`input[type="checkbox"][name="${all.dataset.ticks}"]`)];
    if (event.target === all) {
      for (const box of boxes) {
        box.checked = all.checked;
      }
    }
    const ticked = boxes.filter((box) => box.checked).length;
    all.checked = ticked === boxes.length;
    all.indeterminate = ticked > 0 && !all.checked;
  };

  // Buttons that put a field where the cursor of a template stands; without scripts it is typed.
  const insertField = (event) => {
    const button = event.target.closest("[data-fields] button");
    if (button === null) {
      return;
    }
    const input = document.getElementById(button.parentElement.dataset.fields);
    input.setRangeText(button.value, input.selectionStart, input.selectionEnd, "end");
    input.focus();
    input.dispatchEvent(new Event("change", { bubbles: true }));
  };

  const refresh = () => {
    for (const element of document.querySelectorAll("[data-refresh]")) {
      const busy = element.contains(document.activeElement) || element.querySelector("details[open]");
      if (!document.hidden && !busy && window.htmx) {
        window.htmx.trigger(element, "refresh");
      }
    }
  };

  document.addEventListener("click", openInAirflow);
  document.addEventListener("click", insertField);
  for (const fields of document.querySelectorAll("[data-fields]")) {
    fields.hidden = false;
  }
  document.addEventListener("change", tickAll);
  document.addEventListener("htmx:configRequest", (event) => {
    const token = document.querySelector('meta[name="csrf-token"]');
    if (token !== null && token.content) {
      event.detail.headers["X-CSRF-Token"] = token.content;
    }
  });
  // Answers that are problems carry a page of their own: show its words where they were asked for.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const status = event.detail.xhr.status;
    if (status >= 400) {
      event.detail.shouldSwap = true;
      event.detail.isError = false;
      event.detail.selectOverride = ".problem";
    }
  });
  document.addEventListener("htmx:afterSettle", (event) => showTimes(event.target));
  showTimes(document);
  typeTimesHere();
  const first = document.querySelector("[data-refresh]");
  if (first !== null) {
    window.setInterval(refresh, Number(first.dataset.refresh) * 1000);
  }
})();
