using AnchorScope;
using AnchorScope.Llama2c;

const int WrongInput = 2;

if (args is not [var model, .. var tokenizer, "--out", var folder] || tokenizer.Length > 1)
{
    Console.Error.WriteLine("llama2c: expected MODEL [TOKENIZER] --out DIR: llama2.c's model.bin with its tokenizer.bin, or one file that "
        + "holds the second behind the first");
    return WrongInput;
}
try
{
    var shape = Conversion.Write(model, tokenizer.FirstOrDefault(), folder);
    Console.WriteLine($"{folder}: {shape.Layers} layers, {shape.Heads} heads ({shape.KeyHeads} key/value), d_model "
        + $"{shape.Width}, d_mlp {shape.MlpSize}, vocabulary {shape.Vocabulary}");
    return 0;
}
catch (InputException e)
{
    Console.Error.WriteLine($"llama2c: {e.Message}");
    return WrongInput;
}
