namespace AnchorScope.Tensors;

/// <summary>A block of native memory with the lifetime of the weights that use it; freed by the finaliser.</summary>
internal sealed unsafe class NativeBlock
{
    public NativeBlock(long floats) => Data = (float*)LargeMemory.Take(floats * sizeof(float));

#pragma warning disable MA0055 // weights are shared by whoever still computes with them, so no single owner could dispose of them
    ~NativeBlock() => LargeMemory.Free(Data);
#pragma warning restore MA0055

    public float* Data { get; }
}
