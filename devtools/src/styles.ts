/**
 * Lengths are pixels, because `rem` would depend on the page. There are no animations. Colours have a contrast of 4.5 to 1 and more,
 * in both schemes.
 */
export const styles = `
:host {
  all: initial !important;
  position: fixed !important;
  z-index: 2147483647 !important;
  pointer-events: auto !important;
  color-scheme: light;
  --paper: #ffffff;
  --sunken: #f3f5f3;
  --line: #d5dcd7;
  --edge: #79857f;
  --ink: #17211d;
  --soft: #55615b;
  --accent: #0b6b60;
  --accent-ink: #ffffff;
  --good: #0d6f4f;
  --wait: #7f5300;
  --bad: #b3261e;
}

@media (prefers-color-scheme: dark) {
  :host {
    color-scheme: dark;
    --paper: #161b1a;
    --sunken: #1e2524;
    --line: #333d3a;
    --edge: #7f8d87;
    --ink: #e6ece9;
    --soft: #a5b4ad;
    --accent: #5cd6c0;
    --accent-ink: #06231e;
    --good: #4fd19c;
    --wait: #e9b44c;
    --bad: #ff9a91;
  }
}

@media print {
  :host { display: none !important; }
}

* { box-sizing: border-box; }
[hidden] { display: none !important; }

aside {
  font: 13px/1.45 system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', sans-serif;
  color: var(--ink);
}

.hidden {
  position: absolute;
  width: 1px;
  height: 1px;
  margin: -1px;
  overflow: hidden;
  clip-path: inset(50%);
  white-space: nowrap;
}

button, select, input {
  min-height: 28px;
  margin: 0;
  padding: 2px 10px;
  border: 1px solid var(--edge);
  border-radius: 6px;
  background: var(--paper);
  color: var(--ink);
  font: inherit;
}

button { cursor: pointer; }
button:hover { border-color: var(--accent); color: var(--accent); }
button[aria-pressed='true'] { border-color: var(--accent); background: var(--accent); color: var(--accent-ink); }
button[aria-disabled='true'] { border-style: dashed; color: var(--soft); cursor: not-allowed; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }

.toggle {
  position: fixed;
  display: flex;
  align-items: center;
  gap: 8px;
  min-height: 40px;
  padding: 0 14px;
  border-radius: 20px;
  box-shadow: 0 2px 8px rgb(0 0 0 / 0.25);
}

[data-position|='bottom'] .toggle { bottom: calc(12px + env(safe-area-inset-bottom)); }
[data-position|='top'] .toggle { top: calc(12px + env(safe-area-inset-top)); }
[data-position$='right'] .toggle { right: calc(12px + env(safe-area-inset-right)); }
[data-position$='left'] .toggle { left: calc(12px + env(safe-area-inset-left)); }

.dot { width: 10px; height: 10px; border-radius: 50%; background: var(--soft); }
[data-status='connected'] .dot { background: var(--good); }
[data-status='connecting'] .dot, [data-status='reconnecting'] .dot { background: var(--wait); }
[data-status='disconnected'] .dot { background: var(--bad); }

.panel {
  position: fixed;
  left: 0;
  right: 0;
  display: flex;
  flex-direction: column;
  max-height: 90vh;
  border: solid var(--edge);
  border-width: 1px 0 0;
  background: var(--paper);
  box-shadow: 0 0 16px rgb(0 0 0 / 0.25);
}

[data-position|='bottom'] .panel { bottom: 0; padding-bottom: env(safe-area-inset-bottom); }
[data-position|='top'] .panel { top: 0; padding-top: env(safe-area-inset-top); border-width: 0 0 1px; }

.separator {
  flex: none;
  height: 10px;
  background: var(--sunken);
  cursor: ns-resize;
  touch-action: none;
}
.separator::before {
  display: block;
  width: 40px;
  margin: auto;
  padding-top: 3px;
  border-bottom: 3px solid var(--edge);
  border-radius: 2px;
  content: '';
}
.separator:focus-visible { outline-offset: -2px; }

header {
  display: flex;
  flex: none;
  flex-wrap: wrap;
  align-items: center;
  gap: 4px 12px;
  padding: 6px 12px;
  border-bottom: 1px solid var(--line);
  background: var(--sunken);
}
header button { margin-left: auto; }
header select { max-width: 40vw; }

[data-status] { color: var(--soft); }
[data-status='connected'], [data-status='subscribed'] { color: var(--good); }
[data-status='connecting'], [data-status='reconnecting'], [data-status='subscribing'] { color: var(--wait); }
[data-status='disconnected'], [data-status='refused'], [data-status='error'] { color: var(--bad); }
.toggle[data-status] { color: var(--ink); }
.status { font-weight: 600; }

.sections {
  display: grid;
  flex: 1;
  grid-template-columns: minmax(0, 3fr) minmax(0, 6fr) minmax(0, 5fr);
  min-height: 0;
}
.column, section { display: flex; flex-direction: column; min-width: 0; min-height: 0; }
.column > section { flex: 1; }
.column > section + section { border-top: 1px solid var(--line); }
.sections > * + * { border-left: 1px solid var(--line); }
section { gap: 8px; padding: 10px 12px; }
.connection { overflow: auto; }

h2 { margin: 0; font-size: 13px; font-weight: 600; overflow-wrap: anywhere; }
p, dl, dd, ol { margin: 0; padding: 0; }
ol { list-style: none; }
dl > div { display: flex; gap: 8px; }
dt { flex: none; width: 72px; color: var(--soft); }
dd { min-width: 0; overflow-wrap: anywhere; }
.buttons { display: flex; flex-wrap: wrap; gap: 6px; }
.buttons select { min-width: 0; max-width: 100%; }
.head { display: flex; align-items: center; justify-content: space-between; gap: 12px; }
.head input { min-width: 0; width: 140px; }
.soft, time { color: var(--soft); }
p:empty { display: none; }
.scroll { flex: 1; min-height: 0; overflow: auto; overscroll-behavior: contain; }

time, .position, .preview, .json, .text, .name {
  font: 12px/1.5 ui-monospace, 'SF Mono', 'Cascadia Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace;
}
time { white-space: nowrap; }

.timeline li { padding: 2px 0 2px 8px; border-left: 3px solid var(--line); overflow-wrap: anywhere; }
.timeline [data-tone='good'] { border-color: var(--good); }
.timeline [data-tone='wait'] { border-color: var(--wait); }
.timeline [data-tone='bad'] { border-color: var(--bad); color: var(--bad); }

table { border-collapse: collapse; min-width: 100%; }
th, td { padding: 3px 8px 3px 0; border-bottom: 1px solid var(--line); text-align: left; white-space: nowrap; }
thead th { color: var(--soft); font-weight: 400; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.position { max-width: 120px; overflow: hidden; text-overflow: ellipsis; color: var(--soft); }
.name { max-width: 220px; overflow: hidden; text-overflow: ellipsis; }

.messages li { border-bottom: 1px solid var(--line); }
.messages li > details > summary { overflow: hidden; padding: 3px 0; text-overflow: ellipsis; white-space: nowrap; }
summary { cursor: pointer; }
.mark { padding: 0 5px; border: 1px solid var(--edge); border-radius: 4px; color: var(--soft); font-size: 11px; }
.json { padding-left: 16px; overflow-wrap: anywhere; }
details.member { margin-left: -14px; }
.member > .json { padding-left: 30px; }
.key { color: var(--accent); }
.text { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }

@media (max-width: 800px) {
  .sections { display: block; overflow: auto; }
  .sections > * + * { border-top: 1px solid var(--line); border-left: 0; }
  .scroll { max-height: 220px; }
  button, select, input { min-height: 40px; }
  .separator { height: 20px; }
  .separator::before { padding-top: 8px; }
  input { font-size: 16px; }
}
`
