// llama.cpp as a peer, through the binding that node programs use. Reads commands on standard input, answers each with one line.
// Arguments: folder of node_modules, file of the model, number of threads, number of sequences.
import {createInterface} from "node:readline";
import {pathToFileURL} from "node:url";
import {join} from "node:path";

const [modules, modelPath, threads, sequences] = process.argv.slice(2);
const {getLlama} = await import(pathToFileURL(join(modules, "node-llama-cpp", "dist", "index.js")).href);
const llama = await getLlama({gpu: false, build: "never", maxThreads: +threads, logLevel: "error", progressLogs: false, skipDownload: true});
const model = await llama.loadModel({modelPath, gpuLayers: 0});
const context = await model.createContext({sequences: +sequences, contextSize: 512, batchSize: 512, threads: +threads});
const own = Array.from({length: +sequences}, () => context.getSequence());

/** Greedy tokens after a prompt. */
async function answer(sequence, prompt, count) {
    await sequence.clearHistory();
    const tokens = [];
    for await (const token of sequence.evaluate(prompt, {temperature: 0, yieldEogToken: true})) {
        tokens.push(token);
        if (tokens.length === count) break;
    }
    return tokens;
}

/** Prompts as lists of tokens, all at once or one after the other. */
async function run(prompts, count, atOnce) {
    const started = process.hrtime.bigint();
    const answers = [];
    if (atOnce) answers.push(...await Promise.all(prompts.map((prompt, i) => answer(own[i], prompt, count))));
    else for (const prompt of prompts) answers.push(await answer(own[0], prompt, count));
    return {seconds: Number(process.hrtime.bigint() - started) / 1e9, answers};
}

console.log(`llama.cpp ${llama.llamaCppRelease.release}, ${llama.buildType}, ${llama.cpuMathCores} cores, flash attention ${context.flashAttention}`);
for await (const line of createInterface({input: process.stdin})) {
    try {
        console.log(JSON.stringify(await run(...JSON.parse(line))));
    } catch (error) {
        console.log(JSON.stringify({error: String(error)}));
    }
}
process.exit(0);
