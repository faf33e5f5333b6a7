using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Optimization;
using AnchorScope.Tensors;

namespace AnchorScope.Training;

/// <summary>One training sequence.</summary>
/// <param name="Tokens">Token ids, with image tokens repeated as in a prompt.</param>
/// <param name="Pixels">Its pictures, or null.</param>
/// <param name="Targets">Target tokens; rows are positions of the sequence.</param>
internal sealed record TrainingSequence(int[] Tokens, PixelValues? Pixels, IReadOnlyList<Target> Targets)
{
    /// <summary>Edits of the forward pass.</summary>
    public Intervention Intervention { get; init; } = Intervention.None;

    /// <summary>The loss of <paramref name="batch"/>. Its gradients are then in the sum of <paramref name="lanes"/>.</summary>
    /// <param name="model">Opened over the parameters, so that it uses their current values.</param>
    /// <param name="perPass">Number of sequences that share a pass.</param>
    public static double Loss(GradientLanes lanes, VisionLanguageModel model, IReadOnlyList<TrainingSequence> batch, int perPass,
        TapeKind kind, int threads)
    {
        var passes = batch.Chunk(perPass).ToArray();
        return lanes.Of(
            passes.Length, threads, (pass, session, gradients) => Add(model, passes[pass], kind, CpuSession.ComputeOf(session), gradients));
    }

    /// <summary>
    /// Forward and backward pass of sequences in one pass. Adds the gradients of their loss to the requested tensors of
    /// <paramref name="gradients"/>. The backward pass stops at the lowest requested tensor.
    /// </summary>
    /// <returns>The loss.</returns>
    public static double Add(VisionLanguageModel model, IReadOnlyList<TrainingSequence> sequences, TapeKind kind,
        Compute compute, Gradients gradients)
    {
        var (arena, decoder) = (compute.Arena, model.Decoder);
        var mark = arena.Here();
        var batch = Join(model, sequences, compute);
        var pass = new Pass(decoder.Shape, batch.Runs, compute) { Tape = new Tape(kind) };
        var (loss, d) = CrossEntropy.Of(decoder, decoder.Forward(pass), batch.Targets, compute, gradients);
        var lowest = decoder.LowestRequestedLayer(gradients);
        decoder.Backward(pass, d, gradients, Math.Max(0, lowest));
        if (lowest < 0) AddEntry(model, sequences, batch.Pixels, batch.Places, d, compute, gradients);
        arena.Release(mark);
        return loss;
    }

    /// <summary>Number of targets that are the likeliest token.</summary>
    internal static int Right(VisionLanguageModel model, IReadOnlyList<TrainingSequence> sequences, Compute compute)
    {
        var mark = compute.Arena.Here();
        var batch = Join(model, sequences, compute);
        var resid = model.Decoder.Forward(new Pass(model.Decoder.Shape, batch.Runs, compute));
        var rows = compute.Arena.Take(batch.Targets.Count, resid.Columns);
        for (var i = 0; i < rows.Rows; i++) resid[batch.Targets[i].Row].CopyTo(rows[i]);
        var logits = model.Decoder.Unembed(rows, compute);
        var right = Enumerable.Range(0, rows.Rows).Count(
            i => System.Numerics.Tensors.TensorPrimitives.IndexOfMax<float>(logits[i]) == batch.Targets[i].Token);
        compute.Arena.Release(mark);
        return right;
    }

    /// <summary>Embeds the sequences as runs of one pass. Returns targets by row of the pass, and the rows of image tokens.</summary>
    private static (List<RowBlock> Runs, List<Target> Targets, PixelValues? Pixels, List<int> Places) Join(VisionLanguageModel model,
        IReadOnlyList<TrainingSequence> sequences, Compute compute)
    {
        var (arena, decoder) = (compute.Arena, model.Decoder);
        var pixels = PixelValues.Concatenate([.. sequences.Select(s => s.Pixels).OfType<PixelValues>()]);
        var entry = arena.Take(sequences.Sum(s => s.Tokens.Length), decoder.Shape.ModelSize);  // [position of all sequences, d_model]
        var (runs, targets, places, first) = (new List<RowBlock>(), new List<Target>(), new List<int>(), 0);
        foreach (var sequence in sequences)
        {
            var rows = entry.RowRange(first, sequence.Tokens.Length);
            decoder.Embed(sequence.Tokens, rows);
            runs.Add(new RowBlock(rows, model.ModelFamily.Coordinates(sequence.Tokens, sequence.Pixels), 0, sequence.Intervention));
            foreach (var target in sequence.Targets) targets.Add(target with { Row = first + target.Row });
            for (var i = 0; i < rows.Rows; i++)
            {
                if (sequence.Tokens[i] == model.ImageToken) places.Add(first + i);
            }
            first += rows.Rows;
        }
        if (pixels is not null)
        {
            var features = model.Features(pixels, compute);
            if (features.Rows != places.Count)
                throw new InputException($"the sequences have {places.Count} image tokens, the vision tower gave {features.Rows} features");
            for (var i = 0; i < features.Rows; i++) features[i].CopyTo(entry[places[i]]);
        }
        return (runs, targets, pixels, places);
    }

    private static void AddEntry(VisionLanguageModel model, IReadOnlyList<TrainingSequence> sequences, PixelValues? pixels,
        List<int> places, Tensor d, Compute compute, Gradients gradients)
    {
        var first = 0;
        foreach (var sequence in sequences)
        {
            model.Decoder.EmbedBackward(sequence.Tokens, d.RowRange(first, sequence.Tokens.Length), gradients, model.ImageToken);
            first += sequence.Tokens.Length;
        }
        if (pixels is null) return;
        var dFeatures = compute.Arena.Take(places.Count, d.Columns);
        for (var i = 0; i < places.Count; i++) d[places[i]].CopyTo(dFeatures[i]);
        model.ModelFamily.FeaturesBackward(pixels, dFeatures, compute, gradients);
    }
}
