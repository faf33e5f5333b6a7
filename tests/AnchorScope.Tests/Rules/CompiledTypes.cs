using System.Collections.Immutable;
using System.Reflection.Emit;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;

namespace AnchorScope.Tests.Rules;

/// <summary>
/// The types of an assembly and what each of them refers to, read from what the compiler wrote: aliases, qualified names, inferred types
/// and members whose type is never spelt out are all there. Constants are not, as the compiler copies their values.
/// </summary>
internal sealed class CompiledTypes : ISignatureTypeProvider<ImmutableArray<string>, object?>, IDisposable
{
    private static readonly Dictionary<short, OperandType> Operands = typeof(OpCodes).GetFields().Select(f => f.GetValue(null))
        .OfType<OpCode>().ToDictionary(code => code.Value, code => code.OperandType);

    private readonly PEReader _file;
    private readonly MetadataReader _reader;

    private CompiledTypes(string path)
    {
        _file = new PEReader(File.OpenRead(path));
        _reader = _file.GetMetadataReader();
    }

    /// <summary>Full names without generic arity; a nested type counts as the type around it.</summary>
    public static IReadOnlyDictionary<string, TypeUse> Of(string path)
    {
        using var read = new CompiledTypes(path);
        return read._reader.TypeDefinitions.GroupBy(read.Name, StringComparer.Ordinal).ToDictionary(
            group => group.Key,
            group => new TypeUse(
                [.. group.SelectMany(read.Fields).Distinct(StringComparer.Ordinal)],
                [.. group.SelectMany(read.Uses).Distinct(StringComparer.Ordinal)]),
            StringComparer.Ordinal);
    }

    public void Dispose() => _file.Dispose();

    private IEnumerable<string> Fields(TypeDefinitionHandle handle) =>
        _reader.GetTypeDefinition(handle).GetFields().SelectMany(f => _reader.GetFieldDefinition(f).DecodeSignature(this, null));

    private IEnumerable<string> Uses(TypeDefinitionHandle handle)
    {
        var type = _reader.GetTypeDefinition(handle);
        var found = new List<string>(Fields(handle));
        found.AddRange(Of(type.BaseType));
        foreach (var i in type.GetInterfaceImplementations()) found.AddRange(Of(_reader.GetInterfaceImplementation(i).Interface));
        foreach (var p in type.GetGenericParameters())
        {
            foreach (var c in _reader.GetGenericParameter(p).GetConstraints())
                found.AddRange(Of(_reader.GetGenericParameterConstraint(c).Type));
        }
        foreach (var m in type.GetMethods())
        {
            var method = _reader.GetMethodDefinition(m);
            found.AddRange(Of(method.DecodeSignature(this, null)));
            foreach (var p in method.GetGenericParameters())
            {
                foreach (var c in _reader.GetGenericParameter(p).GetConstraints())
                    found.AddRange(Of(_reader.GetGenericParameterConstraint(c).Type));
            }
            if (method.RelativeVirtualAddress == 0) continue;
            var body = _file.GetMethodBody(method.RelativeVirtualAddress);
            if (!body.LocalSignature.IsNil)
            {
                foreach (var local in _reader.GetStandaloneSignature(body.LocalSignature).DecodeLocalSignature(this, null))
                    found.AddRange(local);
            }
            foreach (var region in body.ExceptionRegions) found.AddRange(Of(region.CatchType));
            found.AddRange(Tokens(body.GetILReader()).SelectMany(Of));
        }
        return found;
    }

    /// <summary>The metadata tokens of a method's instructions.</summary>
    private static List<EntityHandle> Tokens(BlobReader code)
    {
        var found = new List<EntityHandle>();
        while (code.RemainingBytes > 0)
        {
            short first = code.ReadByte();
            switch (Operands[first == 0xFE ? (short)((first << 8) | code.ReadByte()) : first])
            {
                case OperandType.InlineField or OperandType.InlineMethod or OperandType.InlineTok or OperandType.InlineType:
                    found.Add(MetadataTokens.EntityHandle(code.ReadInt32()));
                    break;
                case OperandType.InlineSwitch:
                    var targets = code.ReadInt32();
                    code.Offset += 4 * targets;
                    break;
                case OperandType.InlineI8 or OperandType.InlineR:
                    code.Offset += 8;
                    break;
                case OperandType.InlineVar:
                    code.Offset += 2;
                    break;
                case OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar:
                    code.Offset++;
                    break;
                case OperandType.InlineNone:
                    break;
                default:
                    code.Offset += 4;
                    break;
            }
        }
        return found;
    }

    /// <summary>What a token names: a type, or a member with the type that it belongs to and the types of its signature.</summary>
    private IEnumerable<string> Of(EntityHandle handle)
    {
        if (handle.IsNil) return [];
        switch (handle.Kind)
        {
            case HandleKind.TypeDefinition:
                return [Name((TypeDefinitionHandle)handle)];
            case HandleKind.TypeReference:
                return [Name((TypeReferenceHandle)handle)];
            case HandleKind.TypeSpecification:
                return _reader.GetTypeSpecification((TypeSpecificationHandle)handle).DecodeSignature(this, null);
            case HandleKind.FieldDefinition:
                var field = _reader.GetFieldDefinition((FieldDefinitionHandle)handle);
                return [Name(field.GetDeclaringType()), .. field.DecodeSignature(this, null)];
            case HandleKind.MethodDefinition:
                var method = _reader.GetMethodDefinition((MethodDefinitionHandle)handle);
                return [Name(method.GetDeclaringType()), .. Of(method.DecodeSignature(this, null))];
            case HandleKind.MemberReference:
                var member = _reader.GetMemberReference((MemberReferenceHandle)handle);
                return [.. Of(member.Parent), .. member.GetKind() == MemberReferenceKind.Field
                    ? member.DecodeFieldSignature(this, null) : Of(member.DecodeMethodSignature(this, null))];
            case HandleKind.MethodSpecification:
                var special = _reader.GetMethodSpecification((MethodSpecificationHandle)handle);
                return [.. Of(special.Method), .. special.DecodeSignature(this, null).SelectMany(type => type)];
            default:
                return [];
        }
    }

    private static IEnumerable<string> Of(MethodSignature<ImmutableArray<string>> signature) =>
        signature.ReturnType.Concat(signature.ParameterTypes.SelectMany(type => type));

    private string Name(TypeDefinitionHandle handle)
    {
        var type = _reader.GetTypeDefinition(handle);
        return type.GetDeclaringType() is { IsNil: false } around ? Name(around) : Name(type.Namespace, type.Name);
    }

    private string Name(TypeReferenceHandle handle)
    {
        var type = _reader.GetTypeReference(handle);
        return type.ResolutionScope.Kind == HandleKind.TypeReference
            ? Name((TypeReferenceHandle)type.ResolutionScope) : Name(type.Namespace, type.Name);
    }

    private string Name(StringHandle space, StringHandle name) => $"{_reader.GetString(space)}.{_reader.GetString(name).Split('`')[0]}";

    public ImmutableArray<string> GetTypeFromDefinition(MetadataReader reader, TypeDefinitionHandle handle, byte rawTypeKind) =>
        [Name(handle)];

    public ImmutableArray<string> GetTypeFromReference(MetadataReader reader, TypeReferenceHandle handle, byte rawTypeKind) =>
        [Name(handle)];

    public ImmutableArray<string> GetTypeFromSpecification(
        MetadataReader reader, object? genericContext, TypeSpecificationHandle handle, byte rawTypeKind) =>
        reader.GetTypeSpecification(handle).DecodeSignature(this, genericContext);

    public ImmutableArray<string> GetGenericInstantiation(
        ImmutableArray<string> genericType, ImmutableArray<ImmutableArray<string>> typeArguments) =>
        [.. genericType, .. typeArguments.SelectMany(type => type)];

    public ImmutableArray<string> GetFunctionPointerType(MethodSignature<ImmutableArray<string>> signature) => [.. Of(signature)];

    public ImmutableArray<string> GetModifiedType(
        ImmutableArray<string> modifier, ImmutableArray<string> unmodifiedType, bool isRequired) => unmodifiedType;

    public ImmutableArray<string> GetArrayType(ImmutableArray<string> elementType, ArrayShape shape) => elementType;

    public ImmutableArray<string> GetByReferenceType(ImmutableArray<string> elementType) => elementType;

    public ImmutableArray<string> GetPinnedType(ImmutableArray<string> elementType) => elementType;

    public ImmutableArray<string> GetPointerType(ImmutableArray<string> elementType) => elementType;

    public ImmutableArray<string> GetSZArrayType(ImmutableArray<string> elementType) => elementType;

    public ImmutableArray<string> GetPrimitiveType(PrimitiveTypeCode typeCode) => [];

    public ImmutableArray<string> GetGenericMethodParameter(object? genericContext, int index) => [];

    public ImmutableArray<string> GetGenericTypeParameter(object? genericContext, int index) => [];
}

/// <summary>What one type refers to, by full name.</summary>
/// <param name="Fields">Types of its fields.</param>
/// <param name="All">Everything: bases, signatures, and what its methods call.</param>
internal sealed record TypeUse(IReadOnlyList<string> Fields, IReadOnlyList<string> All);
