// Events by hour as stacked bars. The data is in the element; colours are those of the style sheet.
(() => {
  "use strict";

  const draw = (element) => {
    const { starts, series } = JSON.parse(element.dataset.chart);
    const style = window.getComputedStyle(element);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    // Stacked: each series is drawn with all before it, the highest first.
    const sums = [];
    series.forEach((one, index) => {
      sums.push(one.values.map((value, hour) => value + (index ? sums[index - 1][hour] : 0)));
    });
    const order = series.map((_, index) => index).reverse();
    const bars = window.uPlot.paths.bars({ size: [0.7, 48], align: 1 });
    const axis = { stroke: colour("faint"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false } };
    element.replaceChildren();
    return new window.uPlot(
      {
        width: element.clientWidth,
        height: 240,
        cursor: { y: false, points: { show: false } },
        scales: { x: { time: true, range: [starts[0], starts[23] + 3600] }, y: { range: (_, low, high) => [0, Math.max(4, high * 1.05)] } },
        axes: [axis, { ...axis, size: 48, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 100000] }],
        series: [
          { label: "Hour from", value: "{YYYY}-{MM}-{DD} {HH}:{mm}" },
          ...order.map((index) => ({
            label: series[index].name,
            fill: colour(series[index].tone),
            stroke: colour(series[index].tone),
            width: 0,
            paths: bars,
            points: { show: false },
            value: (_, __, ___, hour) => (hour === null ? "–" : series[index].values[hour]),
          })),
        ],
      },
      [starts, ...order.map((index) => sums[index])],
      element,
    );
  };

  let plots = [];
  const drawAll = () => {
    plots.forEach((plot) => plot.destroy());
    plots = [...document.querySelectorAll("[data-chart]")].map(draw);
  };
  document.addEventListener("htmx:afterSettle", drawAll);
  window.addEventListener("calendar-sync-theme", drawAll);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth !== width) {
      width = window.innerWidth;
      drawAll();
    }
  });
  drawAll();
})();
