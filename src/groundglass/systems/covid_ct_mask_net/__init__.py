"""COVID-CT-Mask-Net (Ter-Sarkisov 2022): lesions as instances, and a slice's class from them."""
