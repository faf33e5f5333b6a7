using System.Numerics;
using System.Security.Cryptography;

namespace AnchorScope.Server.Audit;

/// <summary>The hash tree of RFC 6962: leaf = SHA-256(0x00 || entry), node = SHA-256(0x01 || left || right).</summary>
internal sealed class MerkleTree
{
    // The roots of the full subtrees of which the tree consists, largest first.
    private readonly List<byte[]> _subtrees = [];

    /// <summary>Number of leaves.</summary>
    public long Count { get; private set; }

    /// <summary>The root hash; of an empty tree SHA-256 of nothing.</summary>
    public byte[] Root
    {
        get
        {
            if (_subtrees.Count == 0) return SHA256.HashData([]);
            var root = _subtrees[^1];
            for (var i = _subtrees.Count - 2; i >= 0; i--) root = Node(_subtrees[i], root);
            return root;
        }
    }

    /// <summary>The hash of an entry.</summary>
    public static byte[] Leaf(ReadOnlySpan<byte> entry) => SHA256.HashData([0, .. entry]);

    /// <summary>Adds a leaf.</summary>
    public void Append(byte[] leaf)
    {
        _subtrees.Add(leaf);
        // Two subtrees of the same size become one: as many times as the number of leaves ends in ones.
        for (var merges = BitOperations.TrailingZeroCount(~Count); merges > 0; merges--)
        {
            var right = _subtrees[^1];
            _subtrees.RemoveAt(_subtrees.Count - 1);
            _subtrees[^1] = Node(_subtrees[^1], right);
        }
        Count++;
    }

    /// <summary>The hashes that lead from a leaf to the root, lowest first.</summary>
    /// <param name="leaves">Hashes of all leaves.</param>
    public static IReadOnlyList<byte[]> Proof(ReadOnlySpan<byte[]> leaves, int index)
    {
        if (leaves.Length <= 1) return [];
        var left = LeftOf(leaves.Length);
        return index < left
            ? [.. Proof(leaves[..left], index), RootOf(leaves[left..])]
            : [.. Proof(leaves[left..], index - left), RootOf(leaves[..left])];
    }

    /// <summary>The root that a proof leads to, as RFC 9162 (2.1.3.2) computes it; null if the proof has the wrong length.</summary>
    public static byte[]? RootOf(byte[] leaf, long index, long count, IReadOnlyList<byte[]> proof)
    {
        if (index < 0 || index >= count) return null;
        var (place, last, hash) = (index, count - 1, leaf);
        foreach (var step in proof)
        {
            if (last == 0) return null;
            if ((place & 1) == 1 || place == last)
            {
                hash = Node(step, hash);
                while ((place & 1) == 0 && place != 0) (place, last) = (place >> 1, last >> 1);
            }
            else hash = Node(hash, step);
            (place, last) = (place >> 1, last >> 1);
        }
        return last == 0 ? hash : null;
    }

    /// <summary>The hashes that show that the tree of the first leaves is the beginning of the tree of all, as RFC 6962 (2.1.2) orders
    /// them.
    /// </summary>
    /// <param name="leaves">Hashes of all leaves.</param>
    public static IReadOnlyList<byte[]> Consistency(ReadOnlySpan<byte[]> leaves, int first) =>
        first == 0 ? [] : Subproof(leaves, first, whole: true);

    /// <summary>Whether a proof of <see cref="Consistency"/> leads to both roots, as RFC 9162 (2.1.4.2) computes them.</summary>
    public static bool IsConsistent((long Count, byte[] Root) first, (long Count, byte[] Root) second, IReadOnlyList<byte[]> proof)
    {
        if (first.Count > second.Count) return false;
        if (first.Count == second.Count) return proof.Count == 0 && first.Root.AsSpan().SequenceEqual(second.Root);
        if (first.Count == 0) return proof.Count == 0 && first.Root.AsSpan().SequenceEqual(new MerkleTree().Root);
        // A full first tree is a node of the second, so that its root need not be sent.
        byte[][] path = BitOperations.IsPow2(first.Count) ? [first.Root, .. proof] : [.. proof];
        if (path.Length == 0) return false;
        var (place, last) = (first.Count - 1, second.Count - 1);
        while ((place & 1) == 1) (place, last) = (place >> 1, last >> 1);
        var (one, two) = (path[0], path[0]);
        foreach (var step in path.AsSpan(1))
        {
            if (last == 0) return false;
            if ((place & 1) == 1 || place == last)
            {
                (one, two) = (Node(step, one), Node(step, two));
                while ((place & 1) == 0 && place != 0) (place, last) = (place >> 1, last >> 1);
            }
            else two = Node(two, step);
            (place, last) = (place >> 1, last >> 1);
        }
        return last == 0 && one.AsSpan().SequenceEqual(first.Root) && two.AsSpan().SequenceEqual(second.Root);
    }

    private static byte[][] Subproof(ReadOnlySpan<byte[]> leaves, int first, bool whole)
    {
        if (first == leaves.Length) return whole ? [] : [RootOf(leaves)];
        var left = LeftOf(leaves.Length);
        return first <= left
            ? [.. Subproof(leaves[..left], first, whole), RootOf(leaves[left..])]
            : [.. Subproof(leaves[left..], first - left, whole: false), RootOf(leaves[..left])];
    }

    private static byte[] RootOf(ReadOnlySpan<byte[]> leaves)
    {
        var tree = new MerkleTree();
        foreach (var leaf in leaves) tree.Append(leaf);
        return tree.Root;
    }

    /// <summary>The largest power of two below the number of leaves.</summary>
    private static int LeftOf(int count) => 1 << (BitOperations.Log2((uint)(count - 1)));

    private static byte[] Node(byte[] left, byte[] right) => SHA256.HashData([1, .. left, .. right]);
}
