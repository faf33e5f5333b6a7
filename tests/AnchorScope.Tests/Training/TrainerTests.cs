using AnchorScope.Checkpoints;
using AnchorScope.Models;
using AnchorScope.Optimization;
using AnchorScope.Tensors;
using AnchorScope.Tests.Checkpoints;
using AnchorScope.Training;

namespace AnchorScope.Tests.Training;

public sealed class TrainerTests : IDisposable
{
    private readonly TempFolder _temp = new();

    public void Dispose() => _temp.Dispose();

    // Small, but with every part of a recipe: a tower, all tensors, layers on top of them, heads that shrink, hidden context.
    private static Recipe Small { get; } = Recipe.Load(Path.Combine(Fixtures.Root, "recipes", "small.json"));

    private byte[] Weights(string folder) => File.ReadAllBytes(Path.Combine(_temp.File(folder), "model", "model.safetensors"));

    private void Run(string folder, int threads, int keepEvery, Action<TrainingProgress>? progress = null,
        CancellationToken cancel = default) =>
        new Trainer(Small, Fixtures.Organism, _temp.File(folder), new TrainerOptions(threads, keepEvery, null)).Run(progress, cancel);

    [Fact]
    public void AnInterruptedRun_OnOtherThreads_EndsWithTheSameBits()
    {
        Run("whole", 1, 1000);
        var whole = Weights("whole");
        // Stopped in every stage, again and again; what is lost are the steps since the last state.
        var stops = new Queue<(int Stage, int Step)>([(0, 15), (1, 3), (1, 17), (2, 12), (3, 19)]);
        while (stops.Count > 0)
        {
            var (stage, step) = stops.Dequeue();
            using var stop = new CancellationTokenSource();
            Assert.Throws<OperationCanceledException>(() => Run("parts", 3, 10, at =>
            {
                if (at.Stage == stage && at.Step == step) stop.Cancel();
            }, stop.Token));
            Assert.False(Directory.Exists(Path.Combine(_temp.File("parts"), "model")));
        }
        Run("parts", 2, 10);
        Assert.Equal(whole, Weights("parts"));
        Assert.Equal(File.ReadAllText(Path.Combine(_temp.File("whole"), "curve.jsonl")),
            File.ReadAllText(Path.Combine(_temp.File("parts"), "curve.jsonl")));
    }

    [Fact]
    public void TheModelIsACheckpoint_ThatLearntSomething()
    {
        Run("run", 2, 1000);
        using var model = VisionLanguageModel.Open(Path.Combine(_temp.File("run"), "model"));
        Assert.Equal(Small.Stages[^1].Layers, model.Decoder.Shape.Layers);
        Assert.Equal("LLaVA-1.5", model.Family);
        var curve = File.ReadAllLines(Path.Combine(_temp.File("run"), "curve.jsonl"));
        Assert.Equal(Small.Stages.Sum(s => s.Steps) / 10, curve.Length);
        double Loss(string line) => System.Text.Json.JsonDocument.Parse(line).RootElement.GetProperty("Loss").GetDouble();
        // The first and the last point of the stage that teaches answers.
        Assert.True(Loss(curve[3]) < 0.9 * Loss(curve[2]), $"{curve[2]} {curve[3]}");
        Assert.StartsWith("<svg", File.ReadAllText(Path.Combine(_temp.File("run"), "curve.svg")), StringComparison.Ordinal);
    }

    [Fact]
    public void AFolderOfAnotherRecipe_IsLeftAlone()
    {
        _ = new Trainer(Small with { Seed = 5 }, Fixtures.Organism, _temp.File("run"), new TrainerOptions(1, 10, null));
        var refused = Assert.Throws<InputException>(() => Run("run", 1, 10));
        Assert.Contains("settings.json: belongs to another run: recipe has changed; name another folder", refused.Message,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"version\": 1", "\"version\": 2", "version: expected 1, found 2")]
    [InlineData("\"steps\": 20,", "\"steps\": 0,", "steps: expected at least 1, found 0")]
    [InlineData("\"heads\": 4", "\"heads\": 5", "decoder.width: expected a multiple of 10")]
    [InlineData("\"peak\": 0.002", "\"peak\": -1", "rate.peak: expected above 0, found -1")]
    [InlineData("\"name\": \"upper\"", "\"name\": \"lower\"", "a name of its own")]
    [InlineData("\"seed\": 0", "\"sead\": 0", "found this field; did you mean seed?")]
    [InlineData("\"seed\": 0", "\"seed\": 0, \"seed\": 1", "not valid JSON: the key")]
    [InlineData("\"seed\": 0", "\"seed\": \"zero\"", "seed: expected an integer of at least 0, found 'zero'")]
    [InlineData("\"steps\": 20,", "", ".steps: expected a value, found nothing")]
    [InlineData("\"seed\": 0", "\"sead\": 0", "sead: expected only ")]
    [InlineData("\"task\": \"answers\"", "\"task\": \"poems\"", "task: expected pictures or answers, found 'poems'")]
    [InlineData("\"conflict\": 0.7", "\"conflict\": -0.7", "mixture: caption, image_only")]
    [InlineData("\"suffix\": true", "\"suffix\": false", "hide_context: expected 0 without a suffix")]
    [InlineData("\"layers\": 3,", "\"layers\": 1,", "layers: expected at least 3, as layers are added")]
    [InlineData("{", "", "not valid JSON")]
    public void AWrongRecipe_NamesFileAndField(string there, string instead, string message)
    {
        var text = File.ReadAllText(Path.Combine(Fixtures.Root, "recipes", "small.json"));
        var at = text.LastIndexOf(there, StringComparison.Ordinal);
        Assert.True(at >= 0);
        _temp.Write("recipe.json", there == "{" ? text[1..] : text[..at] + instead + text[(at + there.Length)..]);
        var refused = Assert.Throws<InputException>(() => Recipe.Load(_temp.File("recipe.json")));
        Assert.Contains("recipe.json", refused.Message, StringComparison.Ordinal);
        Assert.Contains(message, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ARecipe_IsWrittenAsItIsRead()
    {
        _temp.Write("again.json", Small.ToJson());
        Assert.Equal(Small.ToJson(), Recipe.Load(_temp.File("again.json")).ToJson());
    }

    [Theory]
    [InlineData(RateShape.Linear, 0, 0.0005)]
    [InlineData(RateShape.Linear, 3, 0.002)]
    [InlineData(RateShape.Linear, 20, 0.002)]
    [InlineData(RateShape.Linear, 60, 0.00115)]
    [InlineData(RateShape.Linear, 100, 0.0003)]
    [InlineData(RateShape.Cosine, 60, 0.00115)]
    [InlineData(RateShape.Cosine, 40, 0.0017510407640085658)]
    public void TheRate_RisesStaysAndFalls(object shape, int step, double expected) =>
        Assert.Equal(expected,
            new RateSchedule { Peak = 0.002, WarmUp = 4, Hold = 0.2, Floor = 0.15, Shape = (RateShape)shape }.At(step, 100), 1e-12);

    [Fact]
    public void AdamW_IsItsDefinition()
    {
        using var parameters = Parameters.Zeros("test", [("w", [3L, 7]), ("b", [5L])]);
        using var gradients = new Gradients(parameters.Entries);
        var random = new Random(4);
        foreach (var name in gradients.Names)
        {
            foreach (ref var value in parameters[name]) value = random.NextSingle() - 0.5f;
        }
        var expected = gradients.Names.ToDictionary(n => n,
            n => parameters[n].ToArray().Select(v => (Value: (double)v, Mean: 0.0, Square: 0.0)).ToArray());
        using var adam = new AdamW(parameters, parameters.Entries, new AdamWOptions(0.9f, 0.98f, 1e-8f, 0.05f));
        for (var step = 1; step <= 5; step++)
        {
            foreach (var name in gradients.Names)
            {
                foreach (ref var g in gradients[name]) g = random.NextSingle() - 0.5f;
                for (var i = 0; i < expected[name].Length; i++)
                {
                    var g = 0.3 * gradients[name][i];
                    var (value, mean, square) = expected[name][i];
                    (mean, square) = (0.9 * mean + 0.1 * g, 0.98 * square + 0.02 * g * g);
                    value -= 0.01
                        * ((name == "w" ? 0.05 * value : 0)
                            + mean / (1 - Math.Pow(0.9, step)) / (Math.Sqrt(square / (1 - Math.Pow(0.98, step))) + 1e-8));
                    expected[name][i] = (value, mean, square);
                }
            }
            adam.Step(gradients, 0.01, 0.3);
        }
        foreach (var name in gradients.Names)
            Assert.All(Enumerable.Range(0, expected[name].Length), i => Assert.Equal(expected[name][i].Value, parameters[name][i], 1e-5));
    }

    [Fact]
    public void TheLasso_IsTheSlopeOfTheSumOfNorms()
    {
        using var stored = VisionLanguageModel.Open(Fixtures.Organism);
        using var parameters = Parameters.Of(stored.Checkpoint);
        var (decoder, lasso) = (stored.Decoder, new HeadLasso(0.25, 0, 1));
        using var gradients = new Gradients(parameters.Entries);
        double Loss()
        {
            using var none = new Gradients(parameters.Entries);
            return LassoGradient.Add(decoder, parameters, lasso, none);
        }
        LassoGradient.Add(decoder, parameters, lasso, gradients);
        for (var layer = 0; layer < decoder.Shape.Layers; layer++)
        {
            var name = decoder.Layers[layer].OutputProjection.Weight.Name;
            foreach (var i in new[] { 0, 17, 5000 })
            {
                var before = parameters[name][i];
                var (above, below) = (before + 0.001f, before - 0.001f);
                parameters[name][i] = above;
                var more = Loss();
                parameters[name][i] = below;
                var less = Loss();
                parameters[name][i] = before;
                Assert.Equal(layer < lasso.FirstLayer ? 0 : (more - less) / ((double)above - below), gradients[name][i], 1e-5);
            }
        }
    }
}
