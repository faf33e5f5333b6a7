using System.Text;

namespace AnchorScope.Prompts;

/// <summary>
/// The text of an answer, token by token, up to the first stop string. It gives only text that is final: never a part of a character, and
/// nothing that may turn out to be the beginning of a stop string.
/// </summary>
public sealed class AnswerText
{
    private readonly StringBuilder _held = new();
    private readonly TokenStream? _tokens;
    private readonly IReadOnlyList<string> _stops;

    /// <param name="stops">Texts that end the answer and are not part of it.</param>
    public AnswerText(Tokenizer tokenizer, IReadOnlyList<string> stops)
        : this(tokenizer.Stream(), stops)
    {
    }

    private AnswerText(TokenStream? tokens, IReadOnlyList<string> stops) => (_tokens, _stops) = (tokens, stops);

    /// <summary>A text that is given in pieces.</summary>
    internal static AnswerText Of(IReadOnlyList<string> stops) => new((TokenStream?)null, stops);

    /// <summary>Whether a stop string has been found. Nothing comes after it.</summary>
    public bool Stopped { get; private set; }

    /// <summary>Adds a token.</summary>
    /// <returns>The text that has become final.</returns>
    public string Add(int token) => Add(_tokens!.Next(token));

    /// <summary>Adds a piece of text.</summary>
    /// <returns>The text that has become final.</returns>
    internal string Add(string piece) => Stopped ? "" : Take(piece, last: false);

    /// <summary>The rest of the text, after the last token. Call it once.</summary>
    public string End() => Stopped ? "" : Take(_tokens?.End() ?? "", last: true);

    private string Take(string text, bool last)
    {
        _held.Append(text);
        var held = _held.ToString();
        var found = _stops.Select(stop => held.IndexOf(stop, StringComparison.Ordinal)).Where(at => at >= 0).DefaultIfEmpty(-1).Min();
        if (found >= 0) Stopped = true;
        var final = found >= 0 ? found : last ? held.Length : held.Length - Undecided(held);
        _held.Remove(0, final);
        return held[..final];
    }

    /// <summary>Characters at the end that may belong to a stop string, or to a character of which half is missing.</summary>
    private int Undecided(string text)
    {
        var most = text.Length > 0 && char.IsHighSurrogate(text[^1]) ? 1 : 0;
        foreach (var stop in _stops)
        {
            for (var count = Math.Min(stop.Length - 1, text.Length); count > most; count--)
            {
                if (!text.EndsWith(stop[..count], StringComparison.Ordinal)) continue;
                most = count;
                break;
            }
        }
        return most;
    }
}
