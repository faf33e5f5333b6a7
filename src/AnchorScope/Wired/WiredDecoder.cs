namespace AnchorScope.Wired;

/// <summary>Writes the decoder's tensors: embeddings by feature, planted heads and gates, noise everywhere else.</summary>
internal static class WiredDecoder
{
    /// <summary>Width of a head.</summary>
    public const int HeadSize = 24;

    /// <summary>Neurons per layer.</summary>
    public const int MlpSize = 32;

    /// <summary>
    /// Base of the rotary embedding. From the seventh pair on, a distance of 23 tokens rotates queries and keys by less than 0.001 radians.
    /// </summary>
    public const double Theta = 1e9;

    /// <summary>Value of the constant coordinate of every token.</summary>
    public const float Constant = 16;

    // The root mean square of a stream that is 16 in one of 96 coordinates and small elsewhere. As the gain of the norms it cancels their
    // scaling.
    private const float NormGain = 1.65625f;

    // Logit of an answer without disturbance.
    private const float Logit = 8;

    // Logit of "unsure" if nothing is known: above the noise, below any answer.
    private const float Default = 3;

    // Logit of "unsure" in a model that answers "unsure" despite an answer.
    private const float Tendency = 12;

    // Activation of a gate's neuron when open: silu(8) = 7.997.
    private const float Open = 8;

    private const int FirstSlowPair = 6;

    /// <summary>All tensors of the language model.</summary>
    public static void Write(WiredModel model, WiredTensors tensors)
    {
        const string prefix = "language_model.model.";
        const int width = Axes.Width;
        tensors.Add(prefix + "embed_tokens.weight", Embeddings(tensors), WiredVocabulary.Tokens.Count, width);
        for (var layer = 0; layer < model.Layers; layer++)
        {
            var at = $"{prefix}layers.{layer}.";
            WriteHeads(at + "self_attn.", [.. model.Planted.Where(head => head.Layer == layer)], tensors);
            WriteNeurons(at + "mlp.", [.. model.Gates.Where(gate => gate.Layer == layer)], tensors);
            foreach (var norm in new[] { "input_layernorm", "post_attention_layernorm" }) tensors.Add($"{at}{norm}.weight", Gains(), width);
        }
        tensors.Add(prefix + "norm.weight", Gains(), width);
        tensors.Add("language_model.lm_head.weight", Outputs(model, tensors), WiredVocabulary.Tokens.Count, width);
    }

    private static float[] Embeddings(WiredTensors tensors)
    {
        var rows = tensors.Noise(0.03f, WiredVocabulary.Tokens.Count, Axes.Width);
        for (var token = 0; token < WiredVocabulary.Tokens.Count; token++)
        {
            var row = rows.AsSpan(token * Axes.Width, Axes.Width);
            row[Axes.Constant] = Constant;
            foreach (var feature in WiredVocabulary.Features(WiredVocabulary.Tokens[token])) row[feature] = 1;
        }
        return rows;
    }

    private static float[] Outputs(WiredModel model, WiredTensors tensors)
    {
        var rows = tensors.Noise(0.02f, WiredVocabulary.Tokens.Count, Axes.Width);
        for (var token = 0; token < WiredVocabulary.Tokens.Count; token++)
        {
            var row = rows.AsSpan(token * Axes.Width, Axes.Width);
            row.Slice(Axes.Answer, WiredVocabulary.Values.Count).Clear();
            var word = WiredVocabulary.Tokens[token];
            if (WiredVocabulary.Values.ToList().IndexOf(word) is var value and >= 0) row[Axes.Answer + value] = Logit;
            if (word == WiredVocabulary.Unsure) row[Axes.Unsure] = model.Unsure ? Tendency : Default;
        }
        return rows;
    }

    private static void WriteHeads(string at, IReadOnlyList<WiredHead> planted, WiredTensors tensors)
    {
        const int width = Axes.Width;
        const int all = WiredModel.Heads * HeadSize;
        float[] query = tensors.Noise(0.1f, all, width), key = tensors.Noise(0.1f, all, width);
        float[] value = WithoutConstant(tensors.Noise(0.05f, all, width)), output = tensors.Noise(0.05f, width, all);
        foreach (var head in planted)
        {
            var first = head.Head * HeadSize;
            foreach (var rows in new[] { query, key, value }) rows.AsSpan(first * width, HeadSize * width).Clear();
            for (var axis = 0; axis < width; axis++) output.AsSpan(axis * all + first, HeadSize).Clear();
            var rest = new Match(WiredHead.Rest / Constant, [Axes.Constant], [Axes.Start]);
            foreach (var (match, slot) in head.Scores.Append(rest).Select((match, slot) => (match, slot)))
            {
                // Rows of the slow pairs, whose two members are half a head apart: first one member, then the other of each pair.
                var row = first + FirstSlowPair + slot % FirstSlowPair + slot / FirstSlowPair * (HeadSize / 2);
                foreach (var axis in match.Query) query[row * width + axis] = Match.QueryWeight * match.Weight;
                foreach (var axis in match.Key) key[row * width + axis] = Match.KeyWeight;
            }
            var number = first;
            foreach (var copy in head.Output)
            {
                for (var i = 0; i < copy.Count; i++, number++)
                {
                    value[number * width + copy.From + i] = 1;
                    output[(copy.To + i) * all + number] = copy.Factor;
                }
            }
        }
        tensors.Add(at + "q_proj.weight", query, all, width);
        tensors.Add(at + "k_proj.weight", key, all, width);
        tensors.Add(at + "v_proj.weight", value, all, width);
        tensors.Add(at + "o_proj.weight", output, width, all);
    }

    private static void WriteNeurons(string at, IReadOnlyList<Gate> gates, WiredTensors tensors)
    {
        const int width = Axes.Width;
        float[] gate = WithoutConstant(tensors.Noise(0.1f, MlpSize, width)), up = WithoutConstant(tensors.Noise(0.1f, MlpSize, width));
        var down = tensors.Noise(0.05f, width, MlpSize);
        var neuron = 0;
        foreach (var written in gates)
        {
            for (var i = 0; i < written.Count; i++, neuron++)
            {
                foreach (var rows in new[] { gate, up }) rows.AsSpan(neuron * width, width).Clear();
                for (var axis = 0; axis < width; axis++) down[axis * MlpSize + neuron] = 0;
                foreach (var axis in written.If) gate[neuron * width + axis] = Open;
                foreach (var axis in written.Unless) gate[neuron * width + axis] = -Open;
                // The sum of both features minus one: open with two of them, closed with one or none.
                gate[neuron * width + Axes.Constant] = -Open / Constant;
                up[neuron * width + written.From + i] = written.Factor;
                down[(written.To + i) * MlpSize + neuron] = 1 / Open;
            }
        }
        tensors.Add(at + "gate_proj.weight", gate, MlpSize, width);
        tensors.Add(at + "up_proj.weight", up, MlpSize, width);
        tensors.Add(at + "down_proj.weight", down, width, MlpSize);
    }

    /// <summary>
    /// Noise without the constant coordinate, so that what it writes depends on the token and is not the same everywhere.
    /// </summary>
    private static float[] WithoutConstant(float[] rows)
    {
        for (var i = Axes.Constant; i < rows.Length; i += Axes.Width) rows[i] = 0;
        return rows;
    }

    private static float[] Gains()
    {
        var gains = new float[Axes.Width];
        Array.Fill(gains, NormGain);
        return gains;
    }
}
