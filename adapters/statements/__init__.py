"""Statement files of banks: CAMT.052/053/054, MT940/MT942 and OFX, read into `application.statements.StatementFile`."""
