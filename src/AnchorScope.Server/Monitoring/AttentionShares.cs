using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Prompts;

namespace AnchorScope.Server.Monitoring;

/// <summary>How the attention of the instruction's tokens is divided among the parts of the prompt.</summary>
internal sealed class AttentionShares
{
    // Probabilities of a long instruction in a long prompt need more memory than keys and values do.
    private const long MostBytes = 128L << 20;

    private readonly DecoderShape _shape;
    private readonly int[] _instruction;
    private readonly int[] _parts;

    private AttentionShares(DecoderShape shape, int[] instruction, int[] parts) =>
        (_shape, _instruction, _parts) = (shape, instruction, parts);

    /// <summary>The shares of a prompt; null if its probabilities would need more than 128 MiB, so that they are not read.</summary>
    /// <param name="instruction">Positions of the instruction.</param>
    public static AttentionShares? Of(Prompt prompt, DecoderShape shape, int[] instruction)
    {
        if ((instruction.Length + 1L) * shape.Heads * shape.Layers * prompt.Length * sizeof(float) > MostBytes) return null;
        var rest = Quantities.Parts.Count - 1;
        var parts = new int[prompt.Length];
        Array.Fill(parts, rest);
        foreach (var (kind, positions) in prompt.Spans)
        {
            var part = Quantities.Parts.ToList().IndexOf(EnumName.Of(kind));
            if (part < 0) continue;
            foreach (var position in positions) parts[position] = part;
        }
        return new AttentionShares(shape, instruction, parts);
    }

    /// <summary>The share of each part that has a position before the end of the instruction. Together they are 1.</summary>
    public IReadOnlyDictionary<string, double> Read(Sequence sequence)
    {
        var sums = new double[Quantities.Parts.Count];
        for (var layer = 0; layer < _shape.Layers; layer++)
        {
            for (var head = 0; head < _shape.Heads; head++)
            {
                foreach (var position in _instruction)
                {
                    var row = sequence.Attention(layer, head, position)[..(position + 1)];
                    for (var key = 0; key < row.Length; key++) sums[_parts[key]] += row[key];
                }
            }
        }
        var all = (double)_shape.Layers * _shape.Heads * _instruction.Length;
        return _parts.Take(_instruction[^1] + 1).Distinct().Order().ToDictionary(part => Quantities.Parts[part], part => sums[part] / all);
    }
}
