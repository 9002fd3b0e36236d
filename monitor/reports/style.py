"""How the page looks, light and dark, wide and narrow."""

from __future__ import annotations

CSS = """
:root{color-scheme:light dark;--fg:#1c2430;--dim:#5b6675;--bg:#fff;--soft:#f4f6f8;--rule:#dde2e8;--s0:#1f6feb;--s1:#b35900;--s2:#6f42c1;
--page:#d1242f;--ticket:#bf8700;--well:#1a7f37}
@media(prefers-color-scheme:dark){:root{--fg:#e3e8ee;--dim:#9aa6b4;--bg:#10151c;--soft:#19212b;--rule:#2c3744;--s0:#6cb0ff;--s1:#ffa657;
--s2:#c297ff;--page:#ff6b70;--ticket:#e3b341;--well:#56d364}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1280px;padding:24px 20px 64px;font:15px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;color:var(--fg);
background:var(--bg);overflow-wrap:anywhere}
h1{font-size:26px;line-height:1.2;margin:0 0 6px}
h2{font-size:18px;margin:36px 0 10px}
h3{font-size:15px;margin:24px 0 6px}
h3 small,p.dim,.dim,figcaption small{color:var(--dim);font-weight:400}
p{margin:4px 0 10px;max-width:75ch}
table{border-collapse:collapse;width:100%;font-size:14px}
th{text-align:left;white-space:nowrap;color:var(--dim);font-weight:500;border-bottom:1px solid var(--rule);padding:4px 14px 4px 0;vertical-align:bottom}
td{border-bottom:1px solid var(--rule);padding:7px 14px 7px 0;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td:nth-child(2):not(.n){min-width:9em}
td ul{margin:4px 0 0;padding-left:18px;color:var(--dim)}
.mark{display:inline-block;border-radius:4px;padding:0 7px;font-size:13px;white-space:nowrap;border:1px solid currentColor}
.mark.page{color:var(--page)}.mark.ticket{color:var(--ticket)}.mark.same{color:var(--well)}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(214px,1fr));gap:10px 14px}
figure{margin:0;background:var(--soft);border-radius:6px;padding:7px 8px 4px;min-width:0}
figcaption{font-size:13px;line-height:1.3;margin-bottom:3px;min-height:34px}
figcaption small{display:block;font-size:12px}
svg{display:block;width:100%;height:auto}
svg text{font:9px system-ui,sans-serif;fill:var(--dim)}
svg text.end{text-anchor:end}
.line{fill:none;stroke-width:1.3;stroke-linecap:round;stroke-linejoin:round}
.band{fill:var(--s0);opacity:.2;stroke:none}
.stood{fill:none;stroke-width:.9;opacity:.5}
.s0{stroke:var(--s0)}.s1{stroke:var(--s1)}.s2{stroke:var(--s2)}
.limit{stroke:var(--page);stroke-width:1;stroke-dasharray:4 3;fill:none}
.day{stroke:var(--rule);stroke-width:.6;fill:none}
rect.page{fill:var(--page);opacity:.24}rect.ticket{fill:var(--ticket);opacity:.26}rect.other{opacity:.9}
.key{display:flex;flex-wrap:wrap;gap:4px 18px;font-size:13px;color:var(--dim);padding:0;margin:0 0 8px;list-style:none}
.key i{display:inline-block;width:16px;height:10px;margin-right:6px;vertical-align:-1px}
.key .k0{background:var(--s0)}.key .kb{background:var(--s0);opacity:.2}.key .kp{background:var(--page);opacity:.3}
.key .k1{background:var(--s1)}.key .kt{background:var(--ticket);opacity:.35}.key .kl{border-top:2px dashed var(--page);height:0;vertical-align:4px}
.key .ks{border-left:2px solid var(--s0);width:2px;opacity:.6;margin-left:7px;margin-right:13px}
@media(max-width:700px){
body{padding:16px 12px 40px}h1{font-size:21px}
thead{display:none}table,tbody,tr,td{display:block;width:100%}
tr{border-bottom:1px solid var(--rule);padding:8px 0}
td,td.n{border:0;min-width:0!important;padding:2px 0;text-align:left;white-space:normal}
td.n{display:inline-block;width:auto;margin-right:14px}
td:empty{display:none}
td[data-k]::before{content:attr(data-k) ": ";color:var(--dim)}
figcaption{min-height:0}
}
@media print{figure{break-inside:avoid}}
"""
