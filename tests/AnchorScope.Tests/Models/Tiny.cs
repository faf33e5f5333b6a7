using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Tensors;

namespace AnchorScope.Tests.Models;

/// <summary>A tiny random LLaVA opened once for many tests, with the prompt of one golden case.</summary>
internal sealed class Tiny : IDisposable
{
    private Tiny(string name, string @case, KernelFamily family)
    {
        Model = VisionLanguageModel.Open(Fixtures.Path(name));
        Golden = Golden.Open(name, @case);
        Compute = new Compute(new Arena(), new Team(1), family);
        Session = Model.Engine.On(Compute);
        Pixels = Golden.Has("inputs.pixel_values") ? Model.Accept(Golden.Inputs) : null;
        Prompt = Model.Prompt(Golden.Ints("inputs.input_ids"), Pixels, Pixels is null ? null : Session.Features(Pixels));
    }

    public VisionLanguageModel Model { get; }

    public Decoder Decoder => Model.Decoder;

    public Golden Golden { get; }

    public Compute Compute { get; }

    public ISession Session { get; }

    public PixelValues? Pixels { get; }

    public Prompt Prompt { get; }

    public static Tiny Open(string name = "llava15", string @case = "one_image", KernelFamily family = KernelFamily.Panel) =>
        new(name, @case, family);

    /// <summary>The slow reference computation: a full pass of one run from the embeddings. Logits [T, V].</summary>
    public float[] Alone(Intervention intervention, params Trace[] traces)
    {
        intervention.ValidateFit(Decoder.Shape, Prompt.Length);
        var mark = Compute.Arena.Here();
        var entry = Tensor.From(Compute.Arena, Prompt.Embeddings, Prompt.Length, Decoder.Shape.ModelSize);
        var resid = Decoder.Forward(
            new Pass(Decoder.Shape, [new RowBlock(entry, Prompt.Coordinates, 0, intervention) { Traces = traces }], Compute));
        var logits = Decoder.Unembed(resid, Compute).ToArray();
        Compute.Arena.Release(mark);
        return logits;
    }

    /// <summary>Logits of the last position of <see cref="Alone"/>.</summary>
    public float[] LastAlone(Intervention intervention) => Alone(intervention)[^Decoder.VocabularySize..];

    public void Dispose()
    {
        Session.Dispose();
        Compute.Arena.Dispose();
        Compute.Team.Dispose();
        Golden.Dispose();
        Model.Dispose();
    }
}
