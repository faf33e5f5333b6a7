using AnchorScope.Figures;
using AnchorScope.Prompts;
using AnchorScope.Studies;

namespace AnchorScope.Reports;

/// <summary>Example conflicts as cards: the picture, both sides, and the answers under each condition.</summary>
internal static class ExampleCards
{
    /// <summary>Pictures with fewer pixels than this on their longer side are enlarged without blur.</summary>
    private const int Small = 128;

    public static IEnumerable<Card> Of(Diagnosis diagnosis, string data)
    {
        foreach (var example in diagnosis.Examples)
        {
            var path = example.Picture is null ? null : Path.Combine(data, example.Picture);
            var bytes = path is not null && File.Exists(path) ? File.ReadAllBytes(path) : null;
            var picture = bytes is null ? null : Picture.Load(path!);
            // All browsers show PNG and JPEG, but not every other format that can be read here.
            if (bytes is not null and not [0xFF, 0xD8, ..] and not [0x89, (byte)'P', ..]) bytes = picture!.ToPng();
            foreach (var run in example.Runs)
            {
                yield return new Card($"{example.Id}: {example.Why}")
                {
                    Picture = bytes,
                    PictureType = bytes is [0xFF, 0xD8, ..] ? "image/jpeg" : "image/png",
                    Pixelated = picture is not null && Math.Max(picture.Width, picture.Height) < Small,
                    PictureText = $"shows {(run.Modality == "vision" ? run.Expected : run.Competing)}",
                    TextContext = example.TextContext ?? "",
                    Question = example.Question,
                    Instruction = run.Instruction,
                    Expected = run.Expected,
                    Answers = [.. run.Answers.Select(a => new CardAnswer(a.Condition, a.Answer, a.Verdict == "following"))],
                };
            }
        }
    }
}
