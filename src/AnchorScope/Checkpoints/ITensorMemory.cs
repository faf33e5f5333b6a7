namespace AnchorScope.Checkpoints;

/// <summary>Memory that contains the bytes of tensors: a mapped file, or memory for tensors that are not written yet.</summary>
internal unsafe interface ITensorMemory
{
    /// <summary>Path or name, for messages.</summary>
    string Path { get; }

    /// <summary>Whether values may change while they are in use. If so, they must not be cached.</summary>
    bool Changes => false;

    /// <summary>Address of the tensor's first byte. It is not necessarily aligned to the element size.</summary>
    /// <param name="entry">A tensor in this memory.</param>
    byte* Address(TensorEntry entry);
}
