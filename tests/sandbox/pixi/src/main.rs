//! The real pixi, as a program: the Rust package registry has it as a library only.
#[tokio::main]
async fn main() -> std::process::ExitCode {
    match pixi::cli::execute().await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(report) => {
            eprintln!("{report:?}");
            std::process::ExitCode::FAILURE
        }
    }
}
