using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using AnchorScope.Checkpoints;
using AnchorScope.World;

namespace AnchorScope.Training;

/// <summary>How an organism is trained, as a JSON file with these names. An unknown name is an error.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record Recipe
{
    private static readonly JsonSerializerOptions Options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, ReadCommentHandling = JsonCommentHandling.Skip,
        RespectRequiredConstructorParameters = true,
        TypeInfoResolver = new DefaultJsonTypeInfoResolver(),
    };

    private static readonly JsonSerializerOptions Written =
        new(Options) { WriteIndented = true, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull };

    /// <summary>Version of the format.</summary>
    public required int Version { get; init; }

    /// <summary>Name of the model.</summary>
    public required string Name { get; init; }

    /// <summary>What the recipe trains and why, for the model card.</summary>
    public required string Purpose { get; init; }

    /// <summary>Seed of initial values and samples.</summary>
    public required ulong Seed { get; init; }

    /// <summary>Sizes of the decoder. Those of vision tower and vocabulary come from the template.</summary>
    public required DecoderSizes Decoder { get; init; }

    /// <summary>The stages, in order.</summary>
    public required IReadOnlyList<RecipeStage> Stages { get; init; }

    /// <summary>Reads and validates a recipe.</summary>
    /// <exception cref="InputException">The file cannot be read or is invalid; the message names the field.</exception>
    public static Recipe Load(string file)
    {
        var json = StrictJson.Read(file, comments: true);
        JsonShape.Check<Recipe>(json, file, Options);
        var recipe = json.Deserialize<Recipe>(Options)!;
        recipe.Check(file);
        return recipe;
    }

    /// <summary>The recipe as JSON, with the same bytes for the same recipe.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, Written) + "\n";

    private void Check(string file)
    {
        if (Version != 1) throw InputException.At(file, "version", "1", $"{Version}");
        if (Stages.Count == 0) throw InputException.At(file, "stages", "at least one", "none");
        Decoder.Check(file);
        for (var i = 0; i < Stages.Count; i++)
        {
            Stages[i].Check(file, $"stages[{i}]", i > 0 ? Stages[i - 1].Layers : 1);
            if (Stages.Take(i).Any(s => s.Name == Stages[i].Name))
                throw InputException.At(file, $"stages[{i}].name", "a name of its own", Stages[i].Name);
        }
    }
}

/// <summary>Sizes of the decoder.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record DecoderSizes
{
    /// <summary>d_model.</summary>
    public required int Width { get; init; }

    /// <summary>Heads per layer.</summary>
    public required int Heads { get; init; }

    /// <summary>d_mlp.</summary>
    public required int MlpSize { get; init; }

    internal void Check(string file)
    {
        foreach (var (name, value) in new[] { ("width", Width), ("heads", Heads), ("mlp_size", MlpSize) })
        {
            if (value < 1) throw InputException.At(file, $"decoder.{name}", "at least 1", $"{value}");
        }
        if (Width % (2 * Heads) != 0)
            throw InputException.At(file, "decoder.width", $"a multiple of {2 * Heads}, as heads have an even size", $"{Width}");
    }
}

/// <summary>What a stage trains.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<RecipeTask>))]
internal enum RecipeTask
{
    /// <summary>The vision tower: predicts shape, colour, count and place from the mean of its patches.</summary>
    [JsonStringEnumMemberName("pictures")]
    Pictures,

    /// <summary>The whole model: answers questions about packed samples.</summary>
    [JsonStringEnumMemberName("answers")]
    Answers,
}

/// <summary>One stage. It starts from the weights of the previous stage, with a new optimiser.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record RecipeStage
{
    /// <summary>Name of the stage and of its split of samples.</summary>
    public required string Name { get; init; }

    /// <summary>What is trained.</summary>
    public required RecipeTask Task { get; init; }

    /// <summary>Number of layers of the decoder. Additional layers are added on top.</summary>
    public required int Layers { get; init; }

    /// <summary>Names of the tensors that are trained; * matches anything.</summary>
    public required IReadOnlyList<string> Learn { get; init; }

    /// <summary>Number of steps.</summary>
    public required int Steps { get; init; }

    /// <summary>Number of samples per step.</summary>
    public required int Batch { get; init; }

    /// <summary>Learning rate over the steps.</summary>
    public required RateSchedule Rate { get; init; }

    /// <summary>Decay of matrices, multiplied by the learning rate.</summary>
    public double WeightDecay { get; init; }

    /// <summary>Maximum norm of the gradient; null: not clipped.</summary>
    public double? Clip { get; init; }

    /// <summary>Composition of packed samples.</summary>
    public MixtureOptions Mixture { get; init; } = new();

    /// <summary>Other weights of the forms of instructions for the first part of the steps.</summary>
    public FormsAtFirst? FormsAtFirst { get; init; }

    /// <summary>A penalty that reduces the number of heads in use.</summary>
    public HeadLasso? Lasso { get; init; }

    /// <summary>Share of the steps in which suffix tokens cannot attend to picture and note, in any layer.</summary>
    public double HideContext { get; init; }

    internal void Check(string file, string at, int layersBefore)
    {
        void Wrong(bool wrong, string field, string expected, object? found)
        {
            if (wrong) throw InputException.At(file, $"{at}.{field}", expected, $"{found}");
        }
        Wrong(Name.Length == 0, "name", "a name", "none");
        Wrong(Layers < layersBefore, "layers", $"at least {layersBefore}, as layers are added and not removed", Layers);
        Wrong(Learn.Count == 0, "learn", "names of tensors", "none");
        Wrong(Steps < 1, "steps", "at least 1", Steps);
        Wrong(Batch < 1, "batch", "at least 1", Batch);
        Wrong(!(WeightDecay >= 0), "weight_decay", "at least 0", WeightDecay);
        Wrong(Clip is { } clip && !(clip > 0), "clip", "above 0", Clip);
        Wrong(!(HideContext is >= 0 and <= 1), "hide_context", "0 to 1", HideContext);
        Wrong(HideContext > 0 && !Mixture.Suffix, "hide_context", "0 without a suffix", HideContext);
        Wrong(!(Rate.Peak > 0), "rate.peak", "above 0", Rate.Peak);
        Wrong(Rate.WarmUp < 0, "rate.warm_up", "at least 0", Rate.WarmUp);
        Wrong(!(Rate.Hold is >= 0 and < 1), "rate.hold", "at least 0 and below 1", Rate.Hold);
        Wrong(!(Rate.Floor is >= 0 and <= 1), "rate.floor", "0 to 1", Rate.Floor);
        Wrong(Lasso is { } lasso && (!(lasso.Weight > 0) || !(lasso.From is >= 0 and < 1) || lasso.FirstLayer < 0), "lasso",
            "a weight above 0, from at least 0 and below 1, first_layer at least 0", Lasso);
        Wrong(FormsAtFirst is { } forms && !(forms.Share is > 0 and <= 1), "forms_at_first.share",
            "above 0, at most 1", FormsAtFirst?.Share);
        try
        {
            Mixture.Check();
            (Mixture with { Forms = FormsAtFirst?.Forms ?? Mixture.Forms }).Check();
        }
        catch (InputException e)
        {
            throw new InputException($"{file}: {at}.{e.Message}", e);
        }
    }
}

/// <summary>How the learning rate decreases.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<RateShape>))]
internal enum RateShape
{
    /// <summary>Linearly to the floor.</summary>
    [JsonStringEnumMemberName("linear")]
    Linear,

    /// <summary>Along half a cosine to the floor.</summary>
    [JsonStringEnumMemberName("cosine")]
    Cosine,
}

/// <summary>The learning rate of each step: it rises, is constant, and falls.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record RateSchedule
{
    /// <summary>Maximum.</summary>
    public required double Peak { get; init; }

    /// <summary>Number of steps of linear warm-up.</summary>
    public int WarmUp { get; init; }

    /// <summary>Share of all steps after which it begins to fall.</summary>
    public double Hold { get; init; }

    /// <summary>Final rate as a share of the peak.</summary>
    public double Floor { get; init; }

    /// <summary>How it falls.</summary>
    public RateShape Shape { get; init; } = RateShape.Cosine;

    /// <summary>The rate of step <paramref name="step"/> (from 0) of <paramref name="steps"/>.</summary>
    public double At(int step, int steps)
    {
        var done = Math.Max(0, (double)step / steps - Hold) / (1 - Hold);
        var left = Shape == RateShape.Linear ? 1 - done : (1 + Math.Cos(Math.PI * done)) / 2;
        return Peak * Math.Min(1, WarmUp == 0 ? 1 : (step + 1.0) / WarmUp) * (Floor + (1 - Floor) * left);
    }
}

/// <summary>Other weights of the forms of instructions in the first part of a stage.</summary>
/// <param name="Share">Share of the stage's steps.</param>
/// <param name="Forms">Weights, as in a mixture.</param>
internal sealed record FormsAtFirst(double Share, IReadOnlyList<double> Forms);

/// <summary>Group lasso over heads: the sum of the Frobenius norms of each head's columns of o_proj.</summary>
/// <param name="Weight">Factor of the sum in the loss.</param>
/// <param name="From">Share of the stage's steps after which it begins.</param>
/// <param name="FirstLayer">First layer to which it applies.</param>
internal sealed record HeadLasso(double Weight, double From, int FirstLayer);
