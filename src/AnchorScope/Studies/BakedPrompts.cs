using AnchorScope.Engines;
using AnchorScope.Models;

namespace AnchorScope.Studies;

/// <summary>
/// The prompts on which two models are compared. Each prompt is built by the model it is run on, with that model's preprocessor, template
/// and tokenizer.
/// </summary>
internal static class BakedPrompts
{
    private const int SequenceLength = 24;
    private const ulong Seed = 1;

    /// <summary>The first runs of a data folder's test set.</summary>
    /// <param name="original">Its tokenizer and template determine which samples are usable.</param>
    /// <param name="warn">Called with warnings about the samples' text.</param>
    /// <exception cref="InputException">The folder has no usable sets.</exception>
    public static IReadOnlyList<Func<VisionLanguageModel, ISession, Prompt>> Conflicts(
        VisionLanguageModel original, string folder, int count, Action<string>? warn = null)
    {
        var data = DiagnosisData.Load(folder, count, Seed).Filter(original, answerTokens: 1);
        foreach (var warning in data.Warnings) warn?.Invoke(warning);
        return [.. data.Test.Samples.SelectMany(s => s.Runs).Take(count)
            .Select(run => (Func<VisionLanguageModel, ISession, Prompt>)((model, session) =>
                new ConflictPrompts(model, data.Layout, session).Of(run)))];
    }

    /// <summary>
    /// Sequences of random tokens without image tokens, which every model can process, whatever its tokenizer and template.
    /// </summary>
    public static IReadOnlyList<Func<VisionLanguageModel, ISession, Prompt>> Sequences(int count) =>
        [.. Enumerable.Range(0, count).Select(i => (Func<VisionLanguageModel, ISession, Prompt>)((model, _) =>
        {
            var random = new SplitMix(Seed, after: (ulong)(i * SequenceLength));
            return model.Prompt(
                [.. Enumerable.Range(0, SequenceLength).Select(_ => random.Below(model.Engine.VocabularySize))
                    .Where(token => token != model.ImageToken)], null, null);
        }))];
}
