using AnchorScope.Conflicts;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Tensors;

namespace AnchorScope.Tests.Wired;

/// <summary>A committed wired model, and runs of the wired conflicts on it.</summary>
internal sealed class WiredRuns(string name) : IDisposable
{
    private const int Together = 24;

    private readonly VisionLanguageModel _model = VisionLanguageModel.Open(Fixtures.Grown(name));
    private readonly Arena _arena = new();
    private readonly Team _team = new(2);
    private readonly PromptLayout _layout = PromptLayout.Beside(Data);

    public static string Data => Path.Combine(Fixtures.Root, "data", "wired-conflicts");

    public DecoderShape Shape => _model.Decoder.Shape;

    private Compute Compute => new(_arena, _team);

    public static IReadOnlyList<ConflictSample> Samples(string split) => ConflictSet.Load(Path.Combine(Data, split + ".jsonl")).Samples;

    public Prompt Prompt(ConflictRun run)
    {
        var mark = _arena.Here();
        var pixels = run.Sample.Image is { } image ? _model.Preprocess([Picture.Load(image)]) : null;
        var prompt = ConflictPrompt.Build(_model, run, _layout, pixels, pixels is null ? null : _model.Engine.On(Compute).Features(pixels));
        _arena.Release(mark);
        return prompt;
    }

    /// <summary>Logits at the last position of each prompt under its intervention.</summary>
    public List<float[]> Logits(IReadOnlyList<(Prompt Prompt, Intervention Intervention)> runs, IReadOnlyList<Trace>? traces = null)
    {
        var logits = new List<float[]>();
        for (var from = 0; from < runs.Count; from += Together)
        {
            var mark = _arena.Here();
            var some = new List<RowBlock>();
            for (var i = from; i < Math.Min(from + Together, runs.Count); i++)
            {
                var (prompt, intervention) = runs[i];
                intervention.Validate(Shape, prompt.Length);
                var entry = Tensor.From(_arena, prompt.Embeddings, prompt.Length, Shape.ModelSize);
                some.Add(new RowBlock(entry, prompt.Coordinates, 0, intervention) { Traces = traces is null ? [] : [traces[i]] });
            }
            var pass = new Pass(Shape, some, Compute);
            var resid = _model.Decoder.Forward(pass);
            var row = 0;
            foreach (var run in some)
            {
                row += run.Count;
                logits.Add(_model.Decoder.Unembed(resid.RowRange(row - 1, 1), Compute).ToArray());
            }
            _arena.Release(mark);
        }
        return logits;
    }

    /// <summary>The likeliest word of each prompt under its intervention.</summary>
    public List<string> Answers(IReadOnlyList<(Prompt Prompt, Intervention Intervention)> runs, IReadOnlyList<Trace>? traces = null) =>
        [.. Logits(runs, traces).Select(l => Word(Array.IndexOf(l, l.Max())))];

    public string Word(int token) => _model.Tokenizer.Decode([token], skipSpecial: false).Trim();

    public void Dispose()
    {
        _model.Dispose();
        _team.Dispose();
        _arena.Dispose();
    }
}
