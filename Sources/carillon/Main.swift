import Glibc

@main
enum Main {
    static func main() async {
        signal(SIGPIPE, SIG_IGN)  // a peer that leaves is an error of the call, never the end of the process
        exit(await Program.run(Array(CommandLine.arguments.dropFirst())))
    }
}
