using System.Text.RegularExpressions;

namespace AnchorScope.Figures;

/// <summary>An abbreviation or a term of the field.</summary>
/// <param name="Name">Spelling in texts. A name that begins with a lower-case letter is also recognised capitalised and in the
/// plural.</param>
/// <param name="Meaning">One sentence.</param>
internal sealed record Term(string Name, string Meaning);

/// <summary>Explains each term at its first occurrence in a section, and records the terms that occurred.</summary>
internal sealed class Glossary
{
    private readonly IReadOnlyList<Term> _terms;
    private readonly Regex? _pattern;
    private readonly HashSet<int> _explained = [];
    private readonly HashSet<int> _used = [];

    public Glossary(IReadOnlyList<Term> terms)
    {
        _terms = terms;
        if (terms.Count == 0) return;
        // Longer names first: "decision carrier" before "carrier".
        var names = terms.Select((term, i) => (term.Name, Index: i)).OrderByDescending(t => t.Name.Length).Select(t =>
            $"(?<t{t.Index}>{Forms(t.Name)})");
        _pattern = new Regex($@"(?<![\p{{L}}\d_])(?:{string.Join('|', names)})(?![\p{{L}}\d_])", RegexOptions.CultureInvariant);
    }

    /// <summary>Terms that occurred, in the order of the list.</summary>
    public IReadOnlyList<Term> Used => [.. _terms.Where((_, i) => _used.Contains(i))];

    /// <summary>Begins a section, in which terms are explained again.</summary>
    public void BeginSection() => _explained.Clear();

    /// <summary>Writes a text. A term at its first occurrence in this section is written as an abbr element with its meaning.</summary>
    public void Write(MarkupText html, string text)
    {
        var at = 0;
        foreach (Match match in _pattern?.Matches(text) ?? Enumerable.Empty<Match>())
        {
            var term = int.Parse(match.Groups.Values.First(g => g.Success && g.Name[0] == 't').Name[1..]);
            _used.Add(term);
            if (!_explained.Add(term)) continue;
            html.Text(text[at..match.Index]).Text("abbr", match.Value, ("title", _terms[term].Meaning));
            at = match.Index + match.Length;
        }
        html.Text(text[at..]);
    }

    private static string Forms(string name) =>
        char.IsAsciiLetterLower(name[0]) ? $"[{name[0]}{char.ToUpperInvariant(name[0])}]{Regex.Escape(name[1..])}s?" : Regex.Escape(name);
}
