//! What Terraform's provider of AWS does, without Terraform.

use super::{KEY, SECRET, program, python, succeeds, with_keys};

const TERRAFORM: &str = include_str!("terraform.py");

#[test]
fn what_terraform_creates_it_reads_back_updates_imports_and_destroys() {
    let test = "terraform::what_terraform_creates_it_reads_back_updates_imports_and_destroys";
    let Some(python) = python(test) else { return };
    let server = with_keys().start();
    succeeds(&mut program(&python, &server, (KEY, SECRET), TERRAFORM));
}
