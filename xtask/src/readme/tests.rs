use super::shell_blocks;

const TEXT: &str = "\
intro `sh`
```sh
# a comment
cargo run --release -- serve

curl -s \\
  localhost
```
```json
{}
```
```shell-session
not this one
```
  ```sh,ignore
  ls
  ```
";

#[test]
fn only_blocks_in_sh_are_found() {
    let blocks = shell_blocks(TEXT);
    let lines: Vec<usize> = blocks.iter().map(|block| block.line).collect();
    assert_eq!(lines, [2, 15]);
    assert_eq!(blocks[1].marks, ",ignore");
}

#[test]
fn commands_are_joined_over_continued_lines_and_without_comments() {
    let blocks = shell_blocks(TEXT);
    assert_eq!(
        blocks[0].commands(),
        ["cargo run --release -- serve", "curl -s localhost"]
    );
}

#[test]
fn a_block_that_is_not_closed_is_no_block() {
    assert!(shell_blocks("```sh\nls\n").is_empty());
}
