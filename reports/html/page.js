"use strict";
const root = document.documentElement;
const asked = new URLSearchParams(location.search).get("theme");
const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : prefersDark.matches);
const style = (name) => getComputedStyle(root).getPropertyValue(name).trim();
const nonce = document.currentScript.nonce; // with it a script that is added may run, and no other one

const toggle = document.getElementById("theme");
function showTheme() {
  toggle.textContent = isDark() ? "Light" : "Dark";
  toggle.setAttribute("aria-label", `Show this page ${isDark() ? "light" : "dark"}`);
}
if (asked === "dark" || asked === "light") root.dataset.theme = asked;
toggle.hidden = false;
showTheme();
toggle.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  showTheme();
  draw();
});
prefersDark.addEventListener("change", () => {
  showTheme();
  draw();
});

for (const button of document.querySelectorAll(".copy")) {
  if (!navigator.clipboard) break;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.previousElementSibling.textContent.trim());
    button.textContent = "copied";
    setTimeout(() => (button.textContent = "copy"), 2000);
  });
}

// What is folded is printed too.
addEventListener("beforeprint", () => {
  for (const one of document.querySelectorAll("details:not([open])")) {
    one.open = true;
    one.dataset.printed = "";
  }
});
addEventListener("afterprint", () => {
  for (const one of document.querySelectorAll("details[data-printed]")) {
    one.open = false;
    delete one.dataset.printed;
  }
});

const LOOKS = 6; // colours
const figures = JSON.parse(document.getElementById("figures").textContent);

function coloured(trace) {
  const colour = style(`--${isDark() ? "dark-" : ""}series-${trace.meta.series % LOOKS}`);
  if (trace.fill) return { ...trace, fillcolor: colour + "38" };
  return { ...trace, line: { ...trace.line, color: colour, width: 2 }, marker: { color: colour, size: 5 } };
}

function draw() {
  if (!window.Plotly) return;
  const [ink, rule] = [style("--ink"), style("--rule")];
  const axis = { gridcolor: rule, zerolinecolor: rule, linecolor: rule, automargin: true };
  for (const place of document.querySelectorAll(".plot")) {
    const { data, layout } = figures[place.dataset.figure];
    const whole = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: ink, family: getComputedStyle(document.body).fontFamily, size: 13 },
      margin: { l: 8, r: 8, t: 8, b: 8 }, hovermode: "x unified", hoverlabel: { bgcolor: style("--raised"), font: { color: ink } },
      autosize: true, legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 }, showlegend: true,
      xaxis: { ...axis, ...layout.xaxis, title: { ...layout.xaxis.title, font: { size: 12 } } },
      yaxis: { ...axis, ...layout.yaxis, title: { ...layout.yaxis.title, font: { size: 12 } } },
    };
    place.hidden = false;
    place.closest("figure").classList.add("drawn");
    window.Plotly.react(place, data.map(coloured), whole, { displaylogo: false, responsive: true, displayModeBar: false });
  }
}

async function unpack() {
  const packed = document.getElementById("plotly").textContent;
  if (!packed || !window.DecompressionStream) return; // the pictures stay
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.nonce = nonce;
  script.textContent = await new Response(stream).text();
  document.head.append(script);
  draw();
}
unpack();
