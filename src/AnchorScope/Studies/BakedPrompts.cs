using AnchorScope.Engines;
using AnchorScope.Models;

namespace AnchorScope.Studies;

/// <summary>What two models are compared on. Each prompt is prepared by the model that it is for, picture, template, tokenizer and all.</summary>
internal static class BakedPrompts
{
    private const int SequenceLength = 24;
    private const ulong Seed = 1;

    /// <summary>The first runs of a data folder's test set.</summary>
    /// <exception cref="InputException">The folder has no usable sets.</exception>
    /// <param name="original">Whose tokenizer and template say which samples can be used.</param>
    /// <param name="warn">Called with what is odd about their text.</param>
    public static IReadOnlyList<Func<VisionLanguageModel, ISession, Prompt>> Conflicts(
        VisionLanguageModel original, string folder, int count, Action<string>? warn = null)
    {
        var data = DiagnosisData.Load(folder, count, Seed).Filter(original, answerTokens: 1);
        foreach (var warning in data.Warnings) warn?.Invoke(warning);
        return [.. data.Test.Samples.SelectMany(s => s.Runs).Take(count).Select(run => (Func<VisionLanguageModel, ISession, Prompt>)((model, session) =>
            new ConflictPrompts(model, data.Layout, session).Of(run)))];
    }

    /// <summary>Random tokens, none of them a picture's: what every model can read, whatever its tokenizer and template.</summary>
    public static IReadOnlyList<Func<VisionLanguageModel, ISession, Prompt>> Sequences(int count) =>
        [.. Enumerable.Range(0, count).Select(i => (Func<VisionLanguageModel, ISession, Prompt>)((model, _) =>
        {
            var random = new SplitMix(Seed, after: (ulong)(i * SequenceLength));
            return model.Prompt([.. Enumerable.Range(0, SequenceLength).Select(_ => random.Below(model.Decoder.VocabularySize)).Where(token => token != model.ImageToken)], null, null);
        }))];
}
