using System.Numerics;

namespace AnchorScope.Prompts.Tokenization;

/// <summary>Maps pairs of token ids to numbers. With open addressing, a lookup usually reads one slot.</summary>
internal sealed class PairTable
{
    private const ulong Golden = 0x9E3779B97F4A7C15;

    private (ulong Pair, int Value)[] slots = [];
    private int shift;
    private int count;

    /// <param name="capacity">Number of pairs that fit before the table grows.</param>
    public PairTable(int capacity) => Resize(BitOperations.Log2((uint)Math.Max(8, capacity)) + 2);

    /// <summary>The value of a pair; -1 if there is none. Setting a pair again replaces its value.</summary>
    public int this[int left, int right]
    {
        get => slots[SlotOf(Key(left, right))].Value;
        set
        {
            var key = Key(left, right);
            var slot = SlotOf(key);
            if (slots[slot].Pair != key && 2 * ++count > slots.Length)
            {
                var old = slots;
                Resize(64 - shift + 1);
                foreach (var (pair, kept) in old)
                    if (pair != ulong.MaxValue) slots[SlotOf(pair)] = (pair, kept);
                slot = SlotOf(key);
            }
            slots[slot] = (key, value);
        }
    }

    private static ulong Key(int left, int right) => ((ulong)(uint)left << 32) | (uint)right;

    private void Resize(int bits)
    {
        slots = new (ulong, int)[1 << bits];
        Array.Fill(slots, (ulong.MaxValue, -1));
        shift = 64 - bits;
    }

    /// <summary>Index of the pair's slot, or of the empty slot where it would be.</summary>
    private int SlotOf(ulong key)
    {
        var slot = (int)((key * Golden) >> shift);
        while (slots[slot].Pair != key && slots[slot].Pair != ulong.MaxValue) slot = (slot + 1) & (slots.Length - 1);
        return slot;
    }
}
