namespace AnchorScope.Figures;

/// <summary>Writes one table: a header row and, if columns have groups, a row of spanning headers above it.</summary>
internal sealed class HtmlTable(IReadOnlyList<Column> columns, IReadOnlyList<IReadOnlyList<string>> rows, bool[] right)
{
    /// <summary>Number of columns from which a table has smaller text, so that it fits on a page more often.</summary>
    private const int Wide = 8;

    public void Write(MarkupText html, Glossary glossary)
    {
        if (columns.Count >= Wide) html.Open("table", ("class", "wide")).Line();
        else html.Open("table").Line();
        if (columns.Any(c => c.Group.Length > 0)) WriteGroups(html, glossary);
        else
        {
            html.Open("thead").Open("tr");
            for (var i = 0; i < columns.Count; i++) Header(html, glossary, columns[i].Name, right[i] ? "number" : "", ("scope", "col"));
        }
        html.Close("tr").Close("thead").Line().Open("tbody").Line();
        foreach (var row in rows)
        {
            html.Open("tr");
            for (var i = 0; i < row.Count; i++)
            {
                if (right[i]) html.Text("td", row[i], ("class", "number"));
                else html.Text("td", row[i]);
            }
            html.Close("tr").Line();
        }
        html.Close("tbody").Close("table").Line();
    }

    /// <summary>
    /// Writes two rows of headers and leaves the second open. A column without a group has a header that spans both rows.
    /// </summary>
    private void WriteGroups(MarkupText html, Glossary glossary)
    {
        var runs = new List<(int First, int Count)>();
        for (var i = 0; i < columns.Count; i++)
        {
            var goesOn = i > 0 && columns[i].Group.Length > 0 && columns[i].Group == columns[i - 1].Group;
            if (goesOn) runs[^1] = (runs[^1].First, runs[^1].Count + 1);
            else runs.Add((i, 1));
        }
        // A header with the scope "colgroup" refers to a column group, which must be declared.
        foreach (var (_, count) in runs) html.Leaf("colgroup", ("span", $"{count}"));
        html.Line().Open("thead").Open("tr");
        foreach (var (first, count) in runs)
        {
            var (name, group) = columns[first];
            if (group.Length > 0) Header(html, glossary, group, "group", ("scope", "colgroup"), ("colspan", $"{count}"));
            else Header(html, glossary, name, right[first] ? "number" : "", ("scope", "col"), ("rowspan", "2"));
        }
        html.Close("tr").Line().Open("tr");
        for (var i = 0; i < columns.Count; i++)
        {
            if (columns[i].Group.Length == 0) continue;
            // The first and the last header of this row are not those of the table, which have less outer padding.
            var inner = i + 1 < columns.Count ? "inner" : "";
            Header(html, glossary, columns[i].Name, $"{(right[i] ? "number " : "")}{inner}".Trim(), ("scope", "col"));
        }
    }

    private static void Header(MarkupText html, Glossary glossary, string text, string style,
        params ReadOnlySpan<(string Name, string Value)> attributes)
    {
        html.Open("th", style.Length > 0 ? [("class", style), .. attributes] : attributes);
        glossary.Write(html, text);
        html.Close("th");
    }
}
