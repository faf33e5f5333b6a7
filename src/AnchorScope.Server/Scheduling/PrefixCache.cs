using AnchorScope.Engines;
using AnchorScope.Interventions;

namespace AnchorScope.Server.Scheduling;

/// <summary>
/// Keys and values of prompts that were computed, for later jobs of the same tenant that begin in the same way. The least recently used one
/// goes first. For the scheduler's thread only.
/// </summary>
internal sealed class PrefixCache : IDisposable
{
    /// <summary>Shorter prefixes cost more to keep than to compute, and counts are multiples of it, because keys are stored in panels of
    /// as many positions.</summary>
    public const int Panel = 16;

    private readonly LinkedList<(string Tenant, ISequencePrefix Prefix)> _kept = [];

    /// <summary>Bytes of all kept prefixes.</summary>
    public long Bytes { get; private set; }

    /// <summary>The prefix that spares a job the most positions; null if none does.</summary>
    /// <param name="most">Positions from here on are computed in any case.</param>
    public (ISequencePrefix Prefix, int Count)? Find(string tenant, Prompt prompt, Intervention intervention, int most)
    {
        LinkedListNode<(string Tenant, ISequencePrefix Prefix)>? best = null;
        var shared = 0;
        for (var node = _kept.First; node is not null; node = node.Next)
        {
            if (node.Value.Tenant != tenant) continue;
            var count = Math.Min(most, node.Value.Prefix.SharedCount(prompt, intervention)) / Panel * Panel;
            if (count > shared) (best, shared) = (node, count);
        }
        if (best is null) return null;
        _kept.Remove(best);
        _kept.AddFirst(best);
        return (best.Value.Prefix, shared);
    }

    /// <summary>Adds a prefix, which the cache then owns.</summary>
    public void Add(string tenant, ISequencePrefix prefix)
    {
        _kept.AddFirst((tenant, prefix));
        Bytes += prefix.Bytes;
    }

    /// <summary>Removes one prefix, because a longer one replaces it.</summary>
    public void Remove(ISequencePrefix prefix)
    {
        for (var node = _kept.First; node is not null; node = node.Next)
        {
            if (!ReferenceEquals(node.Value.Prefix, prefix)) continue;
            Drop(node);
            return;
        }
    }

    /// <summary>Removes the least recently used prefixes until at most <paramref name="bytes"/> are left.</summary>
    public void Shrink(long bytes)
    {
        while (Bytes > Math.Max(0, bytes) && _kept.Last is { } last) Drop(last);
    }

    /// <inheritdoc/>
    public void Dispose() => Shrink(0);

    private void Drop(LinkedListNode<(string Tenant, ISequencePrefix Prefix)> node)
    {
        _kept.Remove(node);
        Bytes -= node.Value.Prefix.Bytes;
        node.Value.Prefix.Dispose();
    }
}
