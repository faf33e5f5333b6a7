namespace AnchorScope.Prompts;

/// <summary>A picture in the input format of a Qwen2-VL vision tower.</summary>
/// <param name="Values">[GridHeight * GridWidth, 3 * temporal * patch * patch]: patches in blocks of merge x merge, the blocks row by row
/// and the patches of a block row by row; within a patch channel, time, row, column.</param>
/// <param name="GridHeight">Patches per column, before merging.</param>
/// <param name="GridWidth">Patches per row, before merging.</param>
/// <param name="Seen">The resized picture that was cut.</param>
internal sealed record QwenPatches(float[] Values, int GridHeight, int GridWidth, Picture Seen);
