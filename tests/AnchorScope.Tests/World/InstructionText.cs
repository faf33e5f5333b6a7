using System.Text.RegularExpressions;
using AnchorScope.Conflicts;

namespace AnchorScope.Tests.World;

/// <summary>Parses an instruction with independently written lists of words.</summary>
internal sealed record InstructionText(int Form, string Opening, IReadOnlyList<InstructionText.Pair> Pairs, string NotThe, string Trail)
{
    public static readonly string[] Positive = ["trust", "follow", "use", "believe", "answer from", "rely on", "go by", "take"];
    public static readonly string[] Negative = ["ignore", "distrust", "do not trust", "do not use", "forget", "never mind"];
    public static readonly string[] Picture = ["picture", "image", "photo", "scene"];
    public static readonly string[] Note = ["note", "text", "message", "sentence"];

    private static readonly string Noun = $"(?:{string.Join('|', Picture)}|{string.Join('|', Note)})";
    private static readonly Regex Shape = new(
        $"^(?<open>please |now |this time |)(?:(?<verb>{string.Join('|', Negative)}) the (?<noun>{Noun})(?: , "
            + $"(?<verb>{string.Join('|', Positive)}) the (?<noun>{Noun}))?|"
        + $"(?<verb>{string.Join('|', Positive)}) the (?<noun>{Noun})(?: not the (?<not>{Noun}))?)(?: (?<trail>.+))?$",
        RegexOptions.CultureInvariant, TimeSpan.FromSeconds(1));

    public static InstructionText Parse(string text)
    {
        var match = Shape.Match(text);
        Assert.True(match.Success, text);
        var pairs = match.Groups["verb"].Captures.Zip(match.Groups["noun"].Captures,
            (verb, noun) => new Pair(verb.Value, noun.Value)).ToList();
        var form = pairs[0].IsNegative ? pairs.Count == 1 ? 1 : 3 : match.Groups["not"].Success ? 2 : 0;
        return new InstructionText(form, match.Groups["open"].Value, pairs, match.Groups["not"].Value, match.Groups["trail"].Value);
    }

    /// <summary>The meaning that a reader would give it.</summary>
    public Modality Followed => (Pairs[^1].Of == Modality.Vision) == Pairs[^1].IsNegative ? Modality.Text : Modality.Vision;

    /// <summary>"trust the picture".</summary>
    internal sealed record Pair(string Verb, string Noun)
    {
        public bool IsNegative => Negative.Contains(Verb);

        public Modality Of => Picture.Contains(Noun) ? Modality.Vision : Modality.Text;

        /// <summary>The pairs that training never uses, as listed in the recipe.</summary>
        public bool IsHeldOut
        {
            get
            {
                var i = Array.IndexOf(IsNegative ? Negative : Positive, Verb);
                return (IsNegative, Of) switch
                {
                    (false, Modality.Vision) => Noun == Picture[i % 4],
                    (false, Modality.Text) => Noun == Note[(i + 1) % 4],
                    (true, Modality.Vision) => Noun == Picture[(i + 2) % 4],
                    _ => Noun == Note[(i + 3) % 4],
                };
            }
        }
    }
}
