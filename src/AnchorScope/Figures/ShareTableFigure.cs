using static AnchorScope.Figures.MarkupText;

namespace AnchorScope.Figures;

/// <summary>A count out of a total, for instance the flagged heads of a role.</summary>
internal readonly record struct CountOf(int Count, int Of);

/// <summary>Counts in named rows and columns. Every cell is printed and tinted by its share (heat map).</summary>
/// <param name="Name">Description of the figure.</param>
/// <param name="Rows">Names of the rows, from the top.</param>
/// <param name="ColumnNames">Names of the columns; each word is on a separate line.</param>
/// <param name="Cells">[row][column].</param>
internal sealed record ShareTableFigure(
    string Name, IReadOnlyList<string> Rows, IReadOnlyList<string> ColumnNames, IReadOnlyList<IReadOnlyList<CountOf>> Cells) : Figure(Name)
{
    private const double CellWidth = 66;
    private const double CellHeight = 24;
    private const double LineHeight = 15;

    /// <summary>Position on the colour scale of a share of 1; text remains readable on it.</summary>
    private const double Strongest = 0.55;

    private protected override Drawing Draw()
    {
        if (Cells.Count != Rows.Count || Cells.Any(row => row.Count != ColumnNames.Count))
            throw new ArgumentException($"{Rows.Count} rows and {ColumnNames.Count} columns need as many cells");
        var left = 14 + Rows.Select(row => TextWidth.Of(row, FigureStyle.LabelSize)).DefaultIfEmpty(0).Max();
        string[][] heads = [.. ColumnNames.Select(column => column.Split(' '))];
        var top = 8 + LineHeight * heads.Select(lines => lines.Length).DefaultIfEmpty(0).Max();
        var svg = new MarkupText();
        for (var column = 0; column < heads.Length; column++)
        {
            for (var line = 0; line < heads[column].Length; line++)
            {
                var (x, y) = (left + (column + 0.5) * CellWidth, top - 8 - LineHeight * (heads[column].Length - 1 - line));
                var word = TextWidth.Fit(heads[column][line], CellWidth, FigureStyle.TickSize);
                svg.Text("text", word, ("class", "tick mid"), ("x", Number(x)), ("y", Number(y)));
            }
        }
        for (var row = 0; row < Rows.Count; row++)
        {
            var y = top + row * CellHeight;
            svg.Text("text", Rows[row], ("class", "end"), ("x", Number(left - 8)), ("y", Number(y + CellHeight / 2 + 4)));
            for (var column = 0; column < heads.Length; column++) Cell(svg, row, column, left + column * CellWidth, y);
            svg.Line();
        }
        var description = $"{string.Join(", ", Rows)} by {string.Join(", ", ColumnNames)}";
        var (width, height) = (left + heads.Length * CellWidth + 2, top + Rows.Count * CellHeight + 4);
        return new([new Panel(description, width, height, svg.ToString(), [])], []);
    }

    private void Cell(MarkupText svg, int row, int column, double x, double y)
    {
        var (count, of) = Cells[row][column];
        var share = of == 0 ? 0 : (double)count / of;
        svg.Open("g").Text("title", $"{Rows[row]}, {ColumnNames[column]}: {count} of {of}");
        svg.Leaf("rect", ("class", FigureStyle.Cell(share * Strongest)), ("x", Number(x + 1)), ("y", Number(y + 1)),
            ("width", Number(CellWidth - 2)), ("height", Number(CellHeight - 2)));
        svg.Text("text", of == 0 ? "" : $"{count} of {of}", ("class", count > 0 ? "mid" : "tick mid"),
            ("x", Number(x + CellWidth / 2)), ("y", Number(y + CellHeight / 2 + 4)));
        svg.Close("g");
    }
}
