namespace AnchorScope.Checkpoints;

/// <summary>Where the bytes of tensors lie: a mapped file, or memory for tensors that are yet to be written.</summary>
internal unsafe interface ITensorMemory
{
    /// <summary>For messages.</summary>
    string Path { get; }

    /// <summary>Whether values may change while they are in use, so that nobody may keep a copy.</summary>
    bool Changes => false;

    /// <summary>The tensor's first byte; not necessarily a multiple of the element's size.</summary>
    /// <param name="entry">One that this memory holds.</param>
    byte* Address(TensorEntry entry);
}
