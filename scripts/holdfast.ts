/** The command line from source: `npm run -s holdfast -- ...`, in the folder where it was called. */
process.chdir(process.env.INIT_CWD ?? process.cwd());
await import("../src/cli/main.ts");
