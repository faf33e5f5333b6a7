namespace AnchorScope.Figures;

/// <summary>The style sheet of a report page. It contains neither &amp; nor &lt;, so that the page is valid XML.</summary>
internal static class PageStyle
{
    public static string Css { get; } = $$"""
        :root { color-scheme: light dark; {{Palette.Light.Properties()}} }
        @media (prefers-color-scheme: dark) { :root { {{Palette.Dark.Properties()}} } }
        *, *::before, *::after { box-sizing: border-box; }
        html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
        body { margin: 0; background: var(--paper); color: var(--ink); line-height: 1.6; font-size: 16px; overflow-wrap: break-word;
          font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "Liberation Sans", Arial, sans-serif; }
        main, footer { max-width: 1080px; margin: 0 auto; padding: 0 24px; }
        main { padding-top: 56px; padding-bottom: 40px; }
        footer { padding-bottom: 40px; color: var(--quiet); font-size: 14px; }
        footer::before { content: ""; display: block; margin-bottom: 16px; border-top: 1px solid var(--line); }
        header { margin-bottom: 32px; }
        h1 { margin: 0; font-size: clamp(26px, 4.2vw, 36px); line-height: 1.2;
          letter-spacing: -0.015em; font-weight: 680; text-wrap: balance; }
        h2 { margin: 64px 0 16px; padding-top: 20px; border-top: 1px solid var(--line); font-size: 24px; line-height: 1.3;
          letter-spacing: -0.01em;
          font-weight: 650; scroll-margin-top: 8px; }
        h3 { margin: 40px 0 8px; font-size: 18px; line-height: 1.35; font-weight: 650; scroll-margin-top: 16px; }
        p { margin: 0 0 16px; max-width: 72ch; text-wrap: pretty; }
        a { color: var(--link); text-underline-offset: 3px; text-decoration-thickness: 1px; }
        .subtitle { margin: 10px 0 0; color: var(--quiet); }

        .lead { display: grid; grid-template-columns: 30px 1fr; gap: 14px; align-items: start; max-width: 860px; margin: 0 0 14px;
          font-size: clamp(17px, 2vw, 20px); line-height: 1.45; }
        .lead .mark { display: grid; place-items: center; width: 30px; height: 30px; border-radius: 50%; font-size: 15px; line-height: 1;
          font-weight: 700; color: var(--paper); background: var(--quiet); }
        .lead.good .mark { background: var(--good); }
        .lead.bad .mark { background: var(--bad); }
        .lead.absent .mark { color: var(--quiet); background: transparent; border: 2px solid var(--line); }
        .lead.absent b { color: var(--quiet); }
        .lead b { font-weight: 650; display: block; }
        .lead .detail { font-size: 15.5px; line-height: 1.5; color: var(--quiet); display: block; margin-top: 3px; }

        .contents { margin: 36px 0 0; padding: 14px 18px; background: var(--raised); border-radius: 8px; font-size: 15px; }
        .contents ol { list-style: none; margin: 0; padding: 0; }
        .contents > ol { columns: 2 300px; column-gap: 32px; }
        .contents > ol > li { break-inside: avoid; padding: 2px 0; }
        .contents ol ol { padding-left: 16px; font-size: 14px; }
        .contents a { color: var(--quiet); text-decoration: none; }
        .contents a:hover { color: var(--link); text-decoration: underline; }
        @media (min-width: 1560px) {
          .contents { position: fixed; top: 56px; left: calc(50vw - 540px - 216px); width: 190px; margin: 0; padding: 0; background: none;
            font-size: 14px; line-height: 1.4; max-height: calc(100vh - 112px); overflow-y: auto; }
          .contents > ol { columns: auto; }
          .contents > ol > li { padding: 0 0 9px; }
          .contents ol ol { font-size: 13px; padding: 3px 0 0 12px; }
          .contents ol ol li { padding: 2px 0; }
        }

        .contents + h2 { margin-top: 44px; }

        figure { margin: 32px 0 36px; break-inside: avoid; }
        figcaption, .caption { color: var(--quiet); font-size: 14.5px; line-height: 1.5; text-align: left; }
        figcaption { max-width: 820px; margin: 14px auto 0; }
        figcaption b, .caption b { color: var(--ink); font-weight: 650; }
        .save { margin-left: 6px; white-space: nowrap; font-size: 13px; }
        .panels { margin: 0 auto; display: grid; gap: 20px 24px; align-items: start; justify-items: center; }
        .columns1 { grid-template-columns: minmax(0, 1fr); }
        .columns2 { grid-template-columns: repeat(auto-fit, minmax(max(min(100%, 320px), (100% - 24px) / 2), 1fr)); }
        .columns3 { grid-template-columns: repeat(auto-fit, minmax(max(min(100%, 290px), (100% - 48px) / 3), 1fr)); }
        .columns4 { grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 14px 18px; }
        @media (max-width: 640px) { .columns4 { grid-template-columns: repeat(2, minmax(0, 1fr)); } }
        .row { grid-column: 1 / -1; justify-self: start; margin: 10px 0 -6px; font-size: 14.5px; font-weight: 600; }
        .panel { width: 100%; min-width: 0; }
        .fig { display: block; font-family: inherit; }
        .panel > .fig, .scale > .fig { width: 100%; height: auto; margin: 0 auto; }
        .scale { margin-top: 10px; }
        .legend { display: flex; flex-wrap: wrap; justify-content: center; gap: 4px 20px; list-style: none; margin: 10px 0 0; padding: 0;
          font-size: 14px; line-height: 1.4; }
        .legend li { display: inline-flex; align-items: center; gap: 7px; min-width: 0; }
        .legend .fig { flex: none; }
        .fig path.rim:hover, .fig rect:hover { opacity: 0.75; }

        /* What goes on beyond an edge shows as a shadow there; a cover that scrolls along hides it at the end. */
        .scroll { overflow-x: auto; margin: 24px 0 32px; -webkit-overflow-scrolling: touch;
          background: linear-gradient(to right, var(--paper) 45%, transparent) left / 48px 100% no-repeat local,
            linear-gradient(to left, var(--paper) 45%, transparent) right / 48px 100% no-repeat local,
            linear-gradient(to right, var(--edge), transparent) left / 18px 100% no-repeat scroll,
            linear-gradient(to left, var(--edge), transparent) right / 18px 100% no-repeat scroll; }
        .caption + .scroll { margin-top: 8px; }
        .scroll:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
        table { border-collapse: collapse; font-size: 15px; line-height: 1.4; font-variant-numeric: tabular-nums;
          min-width: min(100%, 480px);
          border-bottom: 1.5px solid var(--ink); }
        .caption { margin: 28px 0 8px; max-width: 860px; }
        th, td { padding: 7px 14px; text-align: left; vertical-align: baseline; border-bottom: 1px solid var(--grid); }
        th:first-child, td:first-child { padding-left: 2px; white-space: nowrap; }
        th:last-child, td:last-child { padding-right: 2px; }
        table.wide { font-size: 13.5px; }
        table.wide th, table.wide td { padding-left: 8px; padding-right: 8px; }
        table.wide th:first-child, table.wide td:first-child { padding-left: 2px; }
        table.wide th:last-child, table.wide td:last-child { padding-right: 2px; }
        thead th { font-weight: 600; vertical-align: bottom; border-bottom: 1px solid var(--quiet); }
        thead tr:first-child th { border-top: 1.5px solid var(--ink); }
        thead .group { text-align: center; white-space: normal; border-bottom: 0;
          background: linear-gradient(var(--quiet), var(--quiet)) center bottom / calc(100% - 14px) 1px no-repeat; }
        table thead .inner:first-child, table thead .inner:last-child { padding-left: 14px; padding-right: 14px; }
        table.wide thead .inner:first-child, table.wide thead .inner:last-child { padding-left: 8px; padding-right: 8px; }
        thead .number { white-space: normal; }
        abbr { text-decoration: underline dotted var(--quiet); text-underline-offset: 3px; cursor: help; }
        tbody tr:last-child td { border-bottom: 0; }
        .number { text-align: right; white-space: nowrap; }

        .files { list-style: none; margin: 16px 0 24px; padding: 0; font-size: 15px; }
        .files li { padding: 3px 0; }
        .files a { margin-right: 8px; font: 13.5px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; }

        .note { margin: 24px 0; padding: 12px 18px; max-width: 860px; background: var(--raised); border-left: 3px solid var(--link);
          border-radius: 0 6px 6px 0; font-size: 15px; }
        .note p { margin: 2px 0 0; }
        .note b { color: var(--link); font-weight: 650; }
        .note.warning { border-color: var(--warn); }
        .note.warning b { color: var(--warn); }

        details { margin: 20px 0; border: 1px solid var(--line); border-radius: 8px; padding: 0 18px; }
        summary { padding: 11px 0; cursor: pointer; font-weight: 600; font-size: 15px; }
        details[open] { padding-bottom: 10px; }
        pre { margin: 0; padding: 14px 16px; background: var(--raised); border-radius: 6px;
          font: 13px/1.5 ui-monospace, "SF Mono", Menlo, Consolas,
          "Liberation Mono", monospace; width: max-content; min-width: 100%; }
        dl { margin: 16px 0 24px; font-size: 15px; }
        dl > div { display: grid; grid-template-columns: minmax(90px, 200px) minmax(0, 1fr); gap: 0 18px; padding: 5px 0; }
        dt { color: var(--quiet); }
        dd { margin: 0; font-variant-numeric: tabular-nums; }

        .cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 460px), 1fr)); gap: 20px; margin: 24px 0 32px; }
        .card { display: grid; grid-template-columns: 128px minmax(0, 1fr); grid-template-rows: auto 1fr; gap: 14px 18px; padding: 18px;
          border: 1px solid var(--line); border-radius: 10px; break-inside: avoid; }
        .card img { width: 128px; height: 128px; object-fit: contain; border-radius: 6px; background: var(--raised); }
        .card .pixelated { image-rendering: pixelated; }
        .card .facts:first-child, .card .answers { grid-column: 1 / -1; }
        .card .name { margin: 0 0 4px; font-size: 13px; color: var(--quiet);
          font-family: ui-monospace, Menlo, Consolas, "Liberation Mono", monospace; }
        .card dl { margin: 0; font-size: 14.5px; line-height: 1.45; }
        .card dl > div { grid-template-columns: 82px minmax(0, 1fr); gap: 0 8px; padding: 2px 0; }
        .card dl > div:last-child dd { font-weight: 650; }
        .answers { align-self: end; list-style: none; margin: 0; padding: 0; font-size: 14.5px; }
        .answers li { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr) 20px; gap: 12px;
          padding: 6px 0; border-top: 1px solid var(--grid); }
        .answers .condition { color: var(--quiet); }
        .answers .answer { font-weight: 600; }
        .answers .mark { text-align: center; font-weight: 700; }
        .right .mark { color: var(--good); }
        .wrong .mark, .wrong .answer { color: var(--bad); }

        @media (max-width: 480px) {
          main, footer { padding-left: 18px; padding-right: 18px; }
          main { padding-top: 32px; }
          h2 { margin-top: 48px; }
          .lead { grid-template-columns: 26px 1fr; gap: 11px; }
          .lead .mark { width: 26px; height: 26px; font-size: 13px; }
          .contents > ol { columns: auto; }
          .contents li { padding: 3px 0; }
          .card { grid-template-columns: 88px minmax(0, 1fr); padding: 14px; gap: 12px 14px; }
          .card img { width: 88px; height: 88px; }
          .card dl > div, dl > div { grid-template-columns: minmax(0, 1fr); }
          .card dl > div { grid-template-columns: 78px minmax(0, 1fr); }
          .card .facts dl { margin-left: 0; }
          .legend { justify-content: flex-start; }
        }
        @media print {
          :root { color-scheme: light; {{Palette.Light.Properties()}} }
          body { font-size: 11pt; }
          main, footer { max-width: none; padding-left: 0; padding-right: 0; }
          .contents, .save { display: none; }
          h2, h3, .caption { break-after: avoid; }
          .card, table, .note { break-inside: avoid; }
          .scroll { overflow: visible; }
          pre { white-space: pre-wrap; width: auto; }
          details::details-content { content-visibility: visible; height: auto; }
        }

        """;
}
