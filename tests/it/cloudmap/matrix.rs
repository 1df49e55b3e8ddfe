//! Every constraint of every operation of botocore's model, violated once.

use super::{program, python, succeeds};
use crate::server::Server;

const MATRIX: &str = include_str!("matrix.py");

#[test]
fn every_constraint_of_botocores_model_is_held() {
    let Some(python) = python("matrix::every_constraint_of_botocores_model_is_held") else {
        return;
    };
    let server = Server::start();
    succeeds(&mut program(&python, &server, ("any", "thing"), MATRIX));
}
