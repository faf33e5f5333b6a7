using System.Buffers.Binary;
using System.Text;
using AnchorScope.Checkpoints;

namespace AnchorScope.Tests.Checkpoints;

/// <summary>Files that violate the format: one clear message each, and no large allocation.</summary>
public sealed class HostileSafetensorsTests : IDisposable
{
    private readonly TempFolder folder = new();

    public static TheoryData<string, int, string> Headers => new()
    {
        { "", 0, "header: expected JSON that starts with '{', found a length of 0" },
        { "[]", 0, "header: expected JSON that starts with '{', found byte 0x5b" },
        { " {}", 0, "header: expected JSON that starts with '{', found byte 0x20" },
        { "\0{}", 0, "header: expected JSON that starts with '{', found byte 0x00" },
        { "{", 0, "header: not valid JSON near its byte 1" },
        { "{}x", 0, "header: not valid JSON near its byte 2: 'x' is invalid" },
        { "{}\0", 0, "header: not valid JSON near its byte 2" },
        { "{}{}", 0, "header: not valid JSON near its byte 2" },
        { """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],}}""", 1, "header: not valid JSON" },
        { """{"a":{"dtype":"U8","shape":[NaN],"data_offsets":[0,1]}}""", 1, "header: not valid JSON" },
        { """{"\ud800":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}""", 1, "half of a surrogate pair" },
        { """{"a":{"dtype":"\udc00","shape":[1],"data_offsets":[0,1]}}""", 1, "half of a surrogate pair" },
        { """{"a":[[[[[1]]]]]}""", 1, "tensor 'a': entry: expected an object, found an array" },
        { """{"a":{"dtype":"U8","shape":[[[[[1]]]]],"data_offsets":[0,1]}}""", 1, "shape: expected integers of 63 bits, found an array" },
        { """{"a":null}""", 0, "tensor 'a': entry: expected an object, found null" },
        { """{"a":{}}""", 0, "tensor 'a': entry: expected dtype, shape and data_offsets, found no dtype" },
        { """{"a":{"dtype":"U8","data_offsets":[0,1]}}""", 1, "tensor 'a': entry: expected dtype, shape and data_offsets, found no shape" },
        { """{"a":{"dtype":"U8","shape":[1]}}""", 1, "tensor 'a': entry: expected dtype, shape and data_offsets, found no data_offsets" },
        { """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"stride":[1]}}""", 1,
            "tensor 'a': entry: expected dtype, shape and data_offsets, found 'stride'" },
        { """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"dtype":"U8"}}""", 1, "tensor 'a': 'dtype' is named twice" },
        { """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}""", 2,
            "header: 'a' is named twice" },
        { """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\u0061":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}""", 2,
            "header: 'a' is named twice" },
        { """{"__metadata__":{},"__metadata__":{}}""", 0, "header: '__metadata__' is named twice" },
        { """{"__metadata__":{"a":"","a":""}}""", 0, "header: 'a' is named twice" },
        { """{"__metadata__":{"format":1}}""", 0, "header: __metadata__: expected strings, found the number 1" },
        { """{"__metadata__":{"format":{}}}""", 0, "header: __metadata__: expected strings, found an object" },
        { """{"__metadata__":[]}""", 0, "__metadata__: expected an object of strings, found an array" },
        { """{"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}""", 1,
            "tensor 'a': dtype 'F8_E4M3' is not supported; supported: F32, F16, BF16, F64, I64, I32, I16, I8, U8, BOOL" },
        { """{"a":{"dtype":"f32","shape":[1],"data_offsets":[0,4]}}""", 4, "tensor 'a': dtype 'f32' is not supported" },
        { """{"a":{"dtype":"0","shape":[1],"data_offsets":[0,4]}}""", 4, "tensor 'a': dtype '0' is not supported" },
        { """{"a":{"dtype":7,"shape":[1],"data_offsets":[0,4]}}""", 4, "tensor 'a': dtype: expected a string, found the number 7" },
        { """{"a":{"dtype":"U8","shape":1,"data_offsets":[0,1]}}""", 1, "tensor 'a': shape: expected an array, found the number 1" },
        { """{"a":{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}}""", 1,
            "tensor 'a': shape: expected integers of 63 bits, found a string" },
        { """{"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}""", 1, "found the number 1.0" },
        { """{"a":{"dtype":"U8","shape":[99999999999999999999],"data_offsets":[0,1]}}""", 1, "found the number 99999999999999999999" },
        { """{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}""", 1,
            "tensor 'a': shape: expected axes of 0 or more whose product fits 63 bits, found [-1]" },
        { """{"a":{"dtype":"U8","shape":[-1,-1],"data_offsets":[0,1]}}""", 1, "found [-1, -1]" },
        { """{"a":{"dtype":"U8","shape":[0,-1],"data_offsets":[0,0]}}""", 0, "found [0, -1]" },
        { """{"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}}""", 0,
            "product fits 63 bits, found [4294967296, 4294967296]" },
        { """{"a":{"dtype":"U8","shape":[4294967296,0,4294967296],"data_offsets":[0,0]}}""", 0, "product fits 63 bits" },
        { """{"a":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}}""", 0,
            "product fits 63 bits, found [2305843009213693952]" },
        { """{"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,12]}}""", 12,
            "tensor 'a': data_offsets: expected 16 bytes for F32 [2, 2], found [0, 12]: 12 bytes" },
        { """{"a":{"dtype":"U8","shape":[9223372036854775807],"data_offsets":[0,1]}}""", 1, "expected 9223372036854775807 bytes for U8" },
        { """{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}}""", 1,
            "data_offsets: expected a start and an end, 0 <= start <= end, found [1, 0]" },
        { """{"a":{"dtype":"U8","shape":[1],"data_offsets":[-1,0]}}""", 1, "0 <= start <= end, found [-1, 0]" },
        { """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}}""", 1, "0 <= start <= end, found [0]" },
        { """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}}""", 1, "data_offsets: expected at most 2 integers, found more" },
        { """{"a":{"dtype":"U8","shape":[1],"data_offsets":[9223372036854775806,9223372036854775807]}}""", 1,
            "expected a start at 0, found 9223372036854775806: a gap that belongs to no tensor" },
        { """{"a":{"dtype":"U8","shape":[9223372036854775807],"data_offsets":[0,9223372036854775807]}}""", 1,
            "the file is truncated: expected 9223372036854775904 bytes, found 98" },
        { """{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[3,5]}}""", 5,
            "tensor 'b': data_offsets: expected a start at 2, found 3: a gap" },
        { """{"a":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}""", 3,
            "tensor 'a': data_offsets: expected a start at 0, found 1: a gap" },
        { """{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}""", 3,
            "tensor 'b': data_offsets: expected a start at 2, found 1: an overlap with 'a'" },
        { """{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}}""", 4,
            "tensor 'b': data_offsets: expected a start at 4, found 2: an overlap with 'a'" },
        { """{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}""", 5, "expected 63 bytes, found 66: the end belongs to no tensor" },
        { "{}", 3, "expected 10 bytes, found 13: the end belongs to no tensor" },
        { """{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}""", 5,
            "the file is truncated: expected 69 bytes, found 66; fetch it again" },
        { """{"a\nb\u202e":{"dtype":"Q","shape":[8],"data_offsets":[0,8]}}""", 8, "tensor 'a\\u000ab\\u202e': dtype 'Q' is not supported" },
    };

    public void Dispose() => folder.Dispose();

    [Theory]
    [MemberData(nameof(Headers))]
    public void AHeader_IsRefused(string header, int dataBytes, string expected) =>
        Refused(RawSafetensors.Bytes(header, dataBytes), expected);

    [Fact]
    public void AHeaderThatIsNotUtf8_IsRefused() =>
        Refused(RawSafetensors.Bytes([.. "{\""u8, 0xff, .. "\":{}}"u8], 0), "header: expected UTF-8");

    [Fact]
    public void MoreThan64Axes_AreRefused() =>
        Refused(RawSafetensors.Bytes(
            $$$"""{"a":{"dtype":"U8","shape":[{{{string.Join(",", Enumerable.Repeat(1, 65))}}}],"data_offsets":[0,1]}}""", 1),
            "shape: expected at most 64 integers, found more");

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(7)]
    public void AFileShorterThanALength_IsRefused(int length) =>
        Refused(new byte[length], $"expected at least 8 bytes of safetensors, found {length} bytes");

    [Theory]
    [InlineData(100_000_001UL, "header length: expected at most 100000000 bytes, found 100000001")]
    [InlineData(1UL << 63, "header length: expected at most 100000000 bytes, found 9223372036854775808")]
    [InlineData(ulong.MaxValue, "header length: expected at most 100000000 bytes, found 18446744073709551615")]
    [InlineData(100_000_000UL, "the file is truncated: expected at least 100000008 bytes, found 20; fetch it again")]
    [InlineData(13UL, "the file is truncated: expected at least 21 bytes, found 20; fetch it again")]
    public void AHeaderLengthBeyondTheFile_IsRefused(ulong length, string expected)
    {
        var bytes = new byte[20];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, length);
        Refused(bytes, expected);
    }

    [Fact]
    public void ATextFile_IsCalledOne() =>
        Refused(Encoding.UTF8.GetBytes("<!DOCTYPE html>\n<title>Größe</title>"),
            "this is a text file: expected a safetensors file, found '<!DOCTYP'");

    [Fact]
    public void AGitLfsPointer_IsCalledOne() =>
        Refused(
            [
                .. "version https://git-lfs.github.com/spec/v1\n"u8,
                .. "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"u8,
            ],
            "Git LFS pointer, not the weights: expected a safetensors file, found 130 bytes of text; fetch the weights with "
                + "'git lfs pull'");

    [Fact]
    public void ATruncatedFixture_SaysWhatIsMissing()
    {
        byte[] whole = File.ReadAllBytes(Fixtures.Path("llava15", "model.safetensors"));
        Refused(whole[..1_000_000], $"the file is truncated: expected {whole.Length} bytes, found 1000000; fetch it again");
    }

    [Fact]
    public void AFolder_IsRefused() => Assert.Contains("expected a file, found a folder", Message(folder.Path));

    [Fact]
    public void AMissingFile_IsRefused() =>
        Assert.Contains("the file cannot be read: there is no such file", Message(folder.File("missing.safetensors")));

    [Fact]
    public void ABrokenLink_IsRefused()
    {
        File.CreateSymbolicLink(folder.File("link.safetensors"), "nowhere");
        Assert.Contains("the file cannot be read", Message(folder.File("link.safetensors")));
    }

    [Fact]
    public void AFileThatAnotherHolds_IsRefused()
    {
        string path = folder.Write("held.safetensors", RawSafetensors.Bytes("{}", 0));
        using var held = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
        Assert.Contains("the file cannot be read", Message(path));
    }

    [Fact]
    public void AFileWithoutPermission_IsRefused()
    {
        string path = folder.Write("secret.safetensors", RawSafetensors.Bytes("{}", 0));
        if (OperatingSystem.IsWindows())
            return;
        File.SetUnixFileMode(path, UnixFileMode.None);
        if (Environment.IsPrivilegedProcess)
            SafetensorsFile.Open(path).Dispose(); // root may read it
        else
            Assert.Contains("the file cannot be read", Message(path));
    }

    [Fact]
    public void ALinkToAFile_IsFollowed()
    {
        folder.Write("blob", RawSafetensors.Bytes("{}", 0));
        File.CreateSymbolicLink(folder.File("l"), "blob");
        // The system resolves links, including folders that are links, where ".." is not the parent in the path.
        Directory.CreateDirectory(folder.File("a/b"));
        File.CreateSymbolicLink(folder.File("a/b/m"), "../../blob");
        Directory.CreateSymbolicLink(folder.File("snapshot"), "a/b");
        foreach (string name in new[] { "l", "a/b/m", "snapshot/m" })
        {
            foreach (string path in new[] { folder.File(name), Path.GetRelativePath(Environment.CurrentDirectory, folder.File(name)) })
            {
                using var file = SafetensorsFile.Open(path);
                Assert.Empty(file.Tensors);
            }
        }
    }

    [Fact]
    public void ADevice_IsRefused()
    {
        if (OperatingSystem.IsWindows())
            return;
        File.CreateSymbolicLink(folder.File("zero.safetensors"), "/dev/zero");
        Assert.Contains("found 0 bytes", Message("/dev/zero"));
        Assert.Contains("found 0 bytes", Message(folder.File("zero.safetensors")));
    }

    private void Refused(byte[] bytes, string expected)
    {
        string path = folder.Write("hostile.safetensors", bytes);
        long before = GC.GetAllocatedBytesForCurrentThread();
        string message = Message(path);
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.Contains(expected, message);
        Assert.True(allocated < 500_000, $"{allocated} bytes allocated");
    }

    private static string Message(string path)
    {
        string message = Assert.Throws<InputException>(() => SafetensorsFile.Open(path)).Message;
        Assert.StartsWith(path + ": ", message);
        Assert.DoesNotContain('\n', message);
        return message;
    }
}
